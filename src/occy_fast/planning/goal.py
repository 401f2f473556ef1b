"""What the caller wants, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from occy_fast.errors import UsageError
from occy_fast.spec.encoding import Encoding

if TYPE_CHECKING:
    from occy_fast.spec.platform import Platform
    from occy_fast.targets.target import Target

Format = Literal["keep", "oci", "docker"]
Verify = Literal["blobs", "layers", "destination"]
Keep = Literal["keep"]
Attestations = Literal["keep", "drop"]
ArchiveLayout = Literal["universal", "docker-20.10"]

FORMATS: tuple[Format, ...] = ("keep", "oci", "docker")
VERIFY_MODES: tuple[Verify, ...] = ("blobs", "layers", "destination")
ATTESTATION_MODES: tuple[Attestations, ...] = ("keep", "drop")
ARCHIVE_LAYOUTS: tuple[ArchiveLayout, ...] = ("universal", "docker-20.10")


@dataclass(frozen=True, slots=True)
class Goal:
    """State what is asked of a conversion; whatever is not asked stays as the source has it.

    Attributes:
        encoding: what every layer is to be; "keep" demands that none changes; None keeps what the destination can hold.
            Without a level any encoder's layers will do, with one they are made by ours.
        format: the family of manifests.
        platforms: which images of an index; empty takes all that the destination can hold.
        verify: "blobs" checks every blob that is moved against its digest, "layers" the tars inside against their
            diff_ids as well, "destination" also what is there already and would be skipped: it is read there, and what
            is damaged is replaced.
        strict: refuse layers whose tars readers are known to disagree about, whatever becomes of them.
        link: blobs may be hard links to the source's files, which then share their fate.
        attestations: "keep" brings what BuildKit states of an image along with it, wherever the destination can hold
            it; "drop" leaves it out.
        archive_layout: how a docker-archive is built: "universal" is what every consumer loads, "docker-20.10" what
            Docker 1.10 to 24 writes, with the same ids of layers.
        target: who is to read the result; what that is known to refuse is changed, and nothing else.
        tags: further names for the image, where the destination gives several; full image references.
    """

    encoding: Encoding | Keep | None = None
    format: Format = "keep"
    platforms: tuple[Platform, ...] = ()
    verify: Verify = "blobs"
    link: bool = False
    strict: bool = False
    attestations: Attestations = "keep"
    archive_layout: ArchiveLayout = "universal"
    target: Target | None = None
    tags: tuple[str, ...] = ()

    @property
    def proves_layers(self) -> bool:
        """Tell whether the tars inside are to be proved, wherever they are."""
        return self.verify != "blobs"

    def __post_init__(self) -> None:
        if not (self.encoding is None or self.encoding == "keep" or isinstance(self.encoding, Encoding)):
            raise UsageError(f"no encoding: {self.encoding!r}", "it takes an Encoding, or 'keep'")
        if self.format not in FORMATS:
            raise UsageError(f"unknown format '{self.format}'", "known are: " + ", ".join(FORMATS))
        if self.verify not in VERIFY_MODES:
            raise UsageError(f"unknown verification '{self.verify}'", "known are: " + ", ".join(VERIFY_MODES))
        if self.attestations not in ATTESTATION_MODES:
            known = ", ".join(ATTESTATION_MODES)
            raise UsageError(f"unknown treatment of attestations '{self.attestations}'", f"known are: {known}")
        if self.archive_layout not in ARCHIVE_LAYOUTS:
            known = ", ".join(ARCHIVE_LAYOUTS)
            raise UsageError(f"unknown archive layout '{self.archive_layout}'", f"known are: {known}")
