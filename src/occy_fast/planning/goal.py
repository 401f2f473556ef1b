"""What the caller wants, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from occy_fast.errors import UsageError
from occy_fast.spec.encoding import Encoding

if TYPE_CHECKING:
    from occy_fast.spec.platform import Platform

Format = Literal["keep", "oci", "docker"]
Verify = Literal["blobs", "layers"]
Keep = Literal["keep"]

FORMATS: tuple[Format, ...] = ("keep", "oci", "docker")
VERIFY_MODES: tuple[Verify, ...] = ("blobs", "layers")


@dataclass(frozen=True, slots=True)
class Goal:
    """State what is asked of a conversion; whatever is not asked stays as the source has it.

    Attributes:
        encoding: what every layer is to be; "keep" demands that none changes; None keeps what the destination can hold.
            Without a level any encoder's layers will do, with one they are made by ours.
        format: the family of manifests.
        platforms: which images of an index; empty takes all that the destination can hold.
        verify: "blobs" checks every blob that is moved against its digest, "layers" the tars inside against their
            diff_ids as well.
        names: what the image is also to be called there: image references in full form.
        link: blobs may be hard links to the source's files, which then share their fate.
    """

    encoding: Encoding | Keep | None = None
    format: Format = "keep"
    platforms: tuple[Platform, ...] = ()
    verify: Verify = "blobs"
    link: bool = False
    names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not (self.encoding is None or self.encoding == "keep" or isinstance(self.encoding, Encoding)):
            raise UsageError(f"no encoding: {self.encoding!r}", "it takes an Encoding, or 'keep'")
        if self.format not in FORMATS:
            raise UsageError(f"unknown format '{self.format}'", "known are: " + ", ".join(FORMATS))
        if self.verify not in VERIFY_MODES:
            raise UsageError(f"unknown verification '{self.verify}'", "known are: " + ", ".join(VERIFY_MODES))
