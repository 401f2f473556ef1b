"""Say what one pass does with one layer, in the terms both twins of layer_pass take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from occy_fast.kernels.tar_problems import check_limits
from occy_fast.spec.encoding import CODECS, NATIVE

OUTPUTS: Final = ("nothing", "source", "tar", "encoded")

_WORDS: Final = {"decode": NATIVE, "encode": NATIVE, "output": OUTPUTS}
_RANGES: Final = {
    "source_fd": (-1, 2**31 - 1),
    "source_offset": (0, 2**63 - 1),
    "source_size": (-1, 2**63 - 1),
    "sink_fd": (-1, 2**31 - 1),
    "sink_offset": (0, 2**63 - 1),
    "scan_tar": (0, 2),
    "max_tar": (0, 2**64 - 1),
    "max_ratio": (0, 2**64 - 1),
    "ratio_floor": (0, 2**64 - 1),
    "window_log_max": (10, 31),
    "max_header": (10, 2**32 - 1),
}
"""What the fields of ext/layer_pass.h, struct occy_pass_options, can hold and the kernels agree to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassOptions:
    """What one pass does with one layer; sizes and offsets are bytes.

    Attributes:
        decode, encode: ``none``, ``gzip`` or ``zstd``; *encode* goes with the output ``encoded`` alone.
        output: ``nothing``, ``source`` (the bytes as they come), ``tar`` or ``encoded``.
        level: of the encoder; 0 without one.
        source_fd: a regular file, read with pread; -1: `Pass.feed` gives the bytes.
        source_offset: where the source starts in the file.
        source_size: how long it is; -1: up to the end of the file.
        sink_fd: a regular file, written with pwrite; -1: `Pass.drain` takes the output.
        sink_offset: where the output starts in the file.
        scan_tar: read the tar's headers: 0 not at all, 1 as Go does, 2 strictly.
        max_tar: bytes of tar allowed; 0 for any.
        max_ratio: tar bytes for each source byte once the tar is past *ratio_floor*; 0 for any.
        window_log_max: of a zstd source: the largest window allowed is 2 to that power.
        max_header: of a gzip source, as Inflate takes it.
        max_extension, max_sparse_map, max_extensions, max_entries: of the tar, as TarScan takes them.

    Raises:
        ValueError: an option is outside its range, or two contradict each other.
    """

    decode: str = "none"
    encode: str = "none"
    output: str = "nothing"
    level: int = 0
    source_fd: int = -1
    source_offset: int = 0
    source_size: int = -1
    sink_fd: int = -1
    sink_offset: int = 0
    scan_tar: int = 0
    max_tar: int = 0
    max_ratio: int = 0
    ratio_floor: int = 0
    window_log_max: int = 27
    max_header: int = 65536
    max_extension: int = 1048576
    max_sparse_map: int = 1048576
    max_extensions: int = 16
    max_entries: int = 0

    def __post_init__(self) -> None:
        for name, words in _WORDS.items():
            if (word := getattr(self, name)) not in words:
                raise ValueError(f"{name}: expected one of {', '.join(words)}, found {word!r}")
        for name, (least, most) in _RANGES.items():
            if not least <= (value := getattr(self, name)) <= most:
                raise ValueError(f"{name}: expected {least} to {most}, found {value}")
        check_limits(self.max_extension, self.max_sparse_map, self.max_extensions, self.max_entries)
        if (self.output == "encoded") != (self.encode != "none"):
            raise ValueError("output 'encoded' needs an encoder, and nothing else takes one")
        if self.level not in (CODECS[self.encode].levels or (0,)):
            raise ValueError(f"level: {self.encode} has no level {self.level}")
