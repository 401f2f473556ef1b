"""Sparse entries: their maps in GNU's own header, in PAX records, or in front of the content.  (GNU tar, "Sparse")"""

from __future__ import annotations

from enum import Enum, auto

from occy_fast.kernels.pure.tar_header import BLOCK, Member
from occy_fast.kernels.pure.tar_number import decimal, header_number
from occy_fast.kernels.pure.tar_pax import PaxRecords
from occy_fast.kernels.tar_problems import Problem, tar_error

Regions = list[tuple[int, int]]


class SparseVersion(Enum):
    """Where the map of a sparse entry is."""

    IN_PAX = auto()
    IN_CONTENT = auto()


def sparse_version(records: PaxRecords) -> SparseVersion | None:
    """Return where PAX *records* say the map is; None if they do not make the entry sparse, as far as Go knows."""
    version = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
    if version == (b"1", b"0"):
        return SparseVersion.IN_CONTENT
    guessed = version == (b"", b"") and bool(records.get(b"GNU.sparse.map"))
    return SparseVersion.IN_PAX if guessed or version in ((b"0", b"0"), (b"0", b"1")) else None


class SparseEntry:
    """A sparse entry whose map is being read.

    Attributes:
        member: its header, with the name and the logical size that the sparse format gives it.
        stored: bytes of content in the tar that are not part of the map.
        regions: the map as far as it is known.
    """

    def __init__(self, member: Member, stored: int, most: int) -> None:
        """Start on *member*, of which *stored* bytes follow; *most* is how many bytes of map may be read."""
        self.member, self.stored = member, stored
        self.regions: Regions = []
        self._most = most
        self._blocks = 0
        self._lines = 0
        self._count: int | None = None
        self._text = bytearray()

    def start_old(self, block: bytes) -> bool:
        """Read GNU's own header *block*; return whether the map is complete. Raises TarError."""
        if not self.member.gnu:
            raise tar_error(Problem.SPARSE_DIALECT, self.member.at)
        if (size := header_number(block[483:495])) is None:
            raise tar_error(Problem.SPARSE_SIZE, self.member.at)
        self.member = self.member._replace(size=size)
        return self._take_regions(block[386:], 4, 482 - 386, self.member.at + BLOCK)

    def _take_regions(self, block: bytes, most: int, extended: int, offset: int) -> bool:
        for begin in range(0, 24 * most, 24):
            if block[begin] == 0:
                break
            at, length = header_number(block[begin : begin + 12]), header_number(block[begin + 12 : begin + 24])
            if at is None or length is None:
                raise tar_error(Problem.SPARSE_NUMBER, offset - BLOCK)
            self.regions.append((at, length))
        if block[extended]:
            self._count_block(offset)
            return False
        return True

    def start_pax(self, records: PaxRecords, version: SparseVersion, offset: int) -> bool:
        """Read what *records* say; return whether that is all of the map. Raises TarError."""
        member = self.member._replace(name=records.get(b"GNU.sparse.name") or self.member.name)
        key = b"GNU.sparse.size" if records.get(b"GNU.sparse.size") else b"GNU.sparse.realsize"
        self.member = member._replace(size=records.number(key, Problem.PAX_SPARSE_SIZE, member.size))
        if version is SparseVersion.IN_CONTENT:
            self._expect_block(offset)
            return False
        count = decimal(records.get(b"GNU.sparse.numblocks"))
        text = records.get(b"GNU.sparse.map")
        numbers = text.split(b",") if text else []
        if count is None or len(numbers) != 2 * count:
            raise tar_error(Problem.PAX_SPARSE_COUNT, member.at)
        if (regions := _pairs(numbers)) is None:
            raise tar_error(Problem.PAX_SPARSE_NUMBER, member.at)
        self.regions = regions
        return True

    def take(self, block: bytes, offset: int) -> bool:
        """Read the next *block* of the map, which ends at *offset*; return whether that was all. Raises TarError."""
        if self.member.kind == b"S":
            return self._take_regions(block, 21, 504, offset)
        return self._take_text(block, offset)

    def _take_text(self, block: bytes, offset: int) -> bool:
        """Read a block of a map in front of the content: a count and its numbers, each with a newline."""
        self._text += block
        self._lines += block.count(b"\n")
        if self._lines and self._count is None:
            self._count = decimal(bytes(self._text.partition(b"\n")[0]))
            if self._count is None or not 0 <= self._count < 2**62:
                raise tar_error(Problem.SPARSE_COUNT, self.member.at)
        if self._count is None or self._lines <= 2 * self._count:
            self._expect_block(offset)
            return False
        regions = _pairs(bytes(self._text).split(b"\n")[1 : 2 * self._count + 1])
        if regions is None:
            raise tar_error(Problem.SPARSE_NUMBER, self.member.at)
        self.regions = regions
        return True

    def check(self, strict: bool) -> None:
        """See that the map fits the entry. Raises TarError."""
        if not self.member.has_content:
            raise tar_error(Problem.SPARSE_WITHOUT_CONTENT, self.member.at)
        if problem := _problem(self.regions, self.member.size, self.stored, strict):
            raise tar_error(problem, self.member.at)

    def _expect_block(self, offset: int) -> None:
        self._count_block(offset)
        if self.stored < BLOCK:
            raise tar_error(Problem.SPARSE_PAST_ENTRY, offset)
        self.stored -= BLOCK

    def _count_block(self, offset: int) -> None:
        self._blocks += 1
        if self._blocks * BLOCK > self._most:
            raise tar_error(Problem.LIMIT_SPARSE_MAP, offset, self._most, self._blocks * BLOCK)


def _problem(regions: Regions, size: int, stored: int, strict: bool) -> Problem:
    """Return what is wrong with a sparse map over *size* bytes of which *stored* are in the tar."""
    if size < 0:
        return Problem.SPARSE_REGIONS
    end = 0
    total = 0
    for offset, length in regions:
        if offset < end or length < 0 or offset + length > size:
            return Problem.SPARSE_REGIONS
        end = offset + length
        total += length
    if total > stored:
        return Problem.SPARSE_MISSING
    # Go notices content that no region refers to when it reads past the last region, not before.
    return Problem.SPARSE_UNREFERENCED if strict and total < stored else Problem.NONE


def _pairs(numbers: list[bytes]) -> Regions | None:
    """Return decimal *numbers* as pairs; None if one of them is none."""
    values = [value for text in numbers if (value := decimal(text)) is not None]
    if len(values) != len(numbers):
        return None
    return list(zip(values[::2], values[1::2], strict=True))
