"""A tar header as its own block has it, without its extension headers.  (POSIX pax, "ustar Interchange Format")"""

from __future__ import annotations

from typing import NamedTuple

from occy_fast.errors import TarError
from occy_fast.kernels.pure.tar_number import has_tail, header_number, octal
from occy_fast.kernels.tar_problems import Problem, tar_error
from occy_fast.kernels.tar_records import TarFormat

BLOCK = 512
WITHOUT_CONTENT = b"123456"  # hard link, symbolic link, character and block device, directory, fifo
# Of a GNU header: in front of the names of all others, some readers put what stands where ustar has a prefix.
WITHOUT_PREFIX = b"LKSxg"


class Member(NamedTuple):
    """The fields of one header; the offset of its block, the type as it is written, times in nanoseconds."""

    at: int
    kind: bytes
    name: bytes
    linkname: bytes
    size: int
    mode: int
    uid: int
    gid: int
    mtime: int | None
    uname: bytes
    gname: bytes
    devmajor: int
    devminor: int
    atime: int | None
    ctime: int | None
    format: TarFormat
    gnu: bool

    @property
    def has_content(self) -> bool:
        """Tell whether blocks of content follow; a size without them is only a claim."""
        return self.kind not in WITHOUT_CONTENT


def parse_header(block: bytes, at: int, strict: bool) -> Member:
    """Read the header *block*, which is at byte *at* of the tar; *strict* as TarScan has it. Raises TarError."""
    return _Header(block, at, strict).member()


def c_string(field: bytes) -> bytes:
    """Return what *field* holds up to its first NUL."""
    return field.partition(b"\0")[0]


class _Header:
    def __init__(self, block: bytes, at: int, strict: bool) -> None:
        self._block, self._at, self._strict = block, at, strict
        self._is_ustar = block[257:263] == b"ustar\0"
        self._is_gnu = block[257:265] == b"ustar  \0"
        self._format = TarFormat(0)
        self._prefix = b""
        self._atime: int | None = None
        self._ctime: int | None = None

    def member(self) -> Member:
        self._check_checksum()
        block, named = self._block, self._is_ustar or self._is_gnu
        size = self._number(124, 12, Problem.SIZE)
        mode = self._number(100, 8, Problem.MODE)
        uid = self._number(108, 8, Problem.UID)
        gid = self._number(116, 8, Problem.GID)
        mtime = self._number(136, 12, Problem.MTIME) * 10**9
        devmajor = self._number(329, 8, Problem.DEVICE) if named else 0
        devminor = self._number(337, 8, Problem.DEVICE) if named else 0
        if self._is_ustar:
            self._read_ustar()
        elif self._is_gnu:
            self._read_gnu()
        name = c_string(block[0:100])
        return Member(
            self._at,
            block[156:157],
            self._prefix + b"/" + name if self._prefix else name,
            c_string(block[157:257]),
            size,
            mode,
            uid,
            gid,
            mtime,
            c_string(block[265:297]) if named else b"",
            c_string(block[297:329]) if named else b"",
            devmajor,
            devminor,
            self._atime,
            self._ctime,
            self._format,
            self._is_gnu,
        )

    def _check_checksum(self) -> None:
        block, field = self._block, self._block[148:156]
        covered = block[:148] + b" " * 8 + block[156:]
        unsigned = sum(covered)
        expected = octal(field)
        if expected == unsigned:
            return
        # Old Sun systems summed up signed characters.
        signed = unsigned - 256 * sum(octet >= 0x80 for octet in covered)
        if expected != signed:
            # Neither a checksum nor a magic: no header at all.
            foreign = not expected and field[0] < 0x80 and block[257:262] != b"ustar"
            raise self._error(Problem.NO_HEADER if foreign else Problem.CHECKSUM)

    def _read_ustar(self) -> None:
        """Read what ustar has behind the common fields, or star, which has times in the same place."""
        block = self._block
        if block[508:512] == b"tar\0":
            self._prefix = c_string(block[345:476])
            self._atime = self._number(476, 12, Problem.STAR_TIME) * 10**9
            self._ctime = self._number(488, 12, Problem.STAR_TIME) * 10**9
            return
        self._prefix = c_string(block[345:500])
        # The dialect is named only where the header is what that dialect's rules let a writer write.
        ends = (block[end - 1] for end in (108, 116, 124, 136, 148, 337, 345))
        if block.isascii() and not any(ends):
            self._format = TarFormat.USTAR | TarFormat.PAX
        if self._strict and block[263:265] != b"00":
            raise self._error(Problem.USTAR_VERSION)

    def _read_gnu(self) -> None:
        block = self._block
        fields = (block[345:357], block[357:369])
        times = [header_number(field) if field[0] else None for field in fields]
        if any(value is None and field[0] for value, field in zip(times, fields, strict=True)):
            # Writers of Go before 1.8 put a ustar prefix over the times.
            prefix = c_string(block[345:500])
            self._prefix = prefix if prefix.isascii() else b""
            if self._strict:
                raise self._error(Problem.GNU_PREFIX)
            return
        self._format = TarFormat.GNU
        self._atime, self._ctime = (None if value is None else value * 10**9 for value in times)
        if self._strict and self._atime is not None and block[156:157] not in WITHOUT_PREFIX:
            raise self._error(Problem.GNU_TIMES)

    def _number(self, begin: int, length: int, problem: Problem) -> int:
        field = self._block[begin : begin + length]
        value = header_number(field)
        if value is None:
            raise self._error(problem)
        if self._strict and has_tail(field):
            raise self._error(Problem.NUMBER_TAIL)
        return value

    def _error(self, problem: Problem) -> TarError:
        return tar_error(problem, self._at)
