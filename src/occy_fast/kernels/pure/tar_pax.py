"""Extension headers, PAX records and GNU long names, and what they change of the entry behind them."""

from __future__ import annotations

from typing import NamedTuple

from occy_fast.kernels.pure.tar_header import BLOCK, Member, c_string
from occy_fast.kernels.pure.tar_number import decimal, pax_time
from occy_fast.kernels.tar_problems import Problem, tar_error
from occy_fast.kernels.tar_records import TarFormat, merge_records

PATH_KEYS = (b"path", b"linkpath", b"uname", b"gname")
FIELD_KEYS = (*PATH_KEYS, b"uid", b"gid", b"size", b"mtime", b"atime", b"ctime")
# What other readers take from a global header into the entries behind it; Go takes nothing.
APPLIED_KEYS = (*FIELD_KEYS, b"hdrcharset")
APPLIED_PREFIXES = (b"GNU.sparse.", b"SCHILY.xattr.", b"LIBARCHIVE.xattr.")
# What this reader takes: readers differ in which of two records counts.
SINGLE_KEYS = (
    *FIELD_KEYS,
    b"GNU.sparse.major",
    b"GNU.sparse.minor",
    b"GNU.sparse.map",
    b"GNU.sparse.name",
    b"GNU.sparse.numblocks",
    b"GNU.sparse.size",
    b"GNU.sparse.realsize",
)


class Record(NamedTuple):
    """One PAX record, and where in the tar it is."""

    key: bytes
    value: bytes
    at: int


def split_records(body: bytes, base: int) -> list[Record]:
    """Return the records of *body*, which is at byte *base* of the tar. Raises TarPaxError."""
    records = []
    sparse_numbers = 0
    at = 0
    while at < len(body):
        space = body.find(b" ", at)
        length = decimal(body[at:space]) if space >= 0 else None
        if length is None or length < 5 or length > len(body) - at or at + length <= space + 1:
            raise tar_error(Problem.RECORD_LENGTH, base + at)
        if body[at + length - 1] != ord("\n"):
            raise tar_error(Problem.RECORD_END, base + at)
        key, equals, value = body[space + 1 : at + length - 1].partition(b"=")
        if not equals:
            raise tar_error(Problem.RECORD_EQUALS, base + at)
        if not key:
            raise tar_error(Problem.RECORD_KEY, base + at)
        if b"\0" in (value if key in PATH_KEYS else key):
            raise tar_error(Problem.RECORD_NUL, base + at)
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            expected = b"GNU.sparse.numbytes" if sparse_numbers % 2 else b"GNU.sparse.offset"
            if key != expected or b"," in value:
                raise tar_error(Problem.RECORD_SPARSE_ORDER, base + at)
            sparse_numbers += 1
        records.append(Record(key, value, base + at))
        at += length
    return records


class PaxRecords:
    """The records of one PAX header, merged: what they say of an entry."""

    def __init__(self, records: list[Record], strict: bool) -> None:
        self._records, self._strict = records, strict
        self.pairs = [(record.key, record.value) for record in records]
        self.merged = merge_records(self.pairs)

    def get(self, key: bytes) -> bytes:
        """Return the value that counts; an empty one says nothing, as does none."""
        return self.merged.get(key, b"")

    def number(self, key: bytes, problem: Problem, otherwise: int) -> int:
        if not (text := self.get(key)):
            return otherwise
        if (value := decimal(text)) is None:
            raise tar_error(problem, self._place(key))
        if self._strict and text[0] in b"+-":
            raise tar_error(Problem.PAX_NUMBER_SIGN, self._place(key))
        return value

    def time(self, key: bytes, otherwise: int | None) -> int | None:
        if not (text := self.get(key)):
            return otherwise
        if (value := pax_time(text)) is None:
            raise tar_error(Problem.PAX_TIME, self._place(key))
        return value

    @property
    def has_sparse_key(self) -> bool:
        return any(key.startswith(b"GNU.sparse.") for key in self.merged)

    def check(self, kind: bytes) -> None:
        """Refuse what readers disagree on, of a header of this *kind*. Raises TarAmbiguous."""
        seen: set[bytes] = set()
        binary = (b"hdrcharset", b"BINARY") in self.pairs
        for key, value, at in self._records:
            if key in SINGLE_KEYS and key in seen:
                raise tar_error(Problem.TWO_RECORDS, at)
            seen.add(key)
            if kind == b"g" and (key in APPLIED_KEYS or key.startswith(APPLIED_PREFIXES)):
                raise tar_error(Problem.GLOBAL_RECORD, at)
            if key in FIELD_KEYS and not value:
                raise tar_error(Problem.EMPTY_RECORD, at)
            if key in PATH_KEYS and not binary and not _is_utf8(value):
                raise tar_error(Problem.NOT_UTF8, at)

    def _place(self, key: bytes) -> int:
        return next(record.at for record in reversed(self._records) if record.key == key)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


class Extensions:
    """The extension headers that were read since the last entry.

    Attributes:
        start: offset of the first header of the entry, the extensions included; -1 before there is one.
        format: the dialects that all its headers have in common.
        kinds: the types of the headers, each once, in order.
        pax: the body of the last PAX header; None without one.
        records: what it says.
    """

    def __init__(self, strict: bool) -> None:
        self._strict = strict
        self._count = 0
        self._longname = b""
        self._longlink = b""
        self.start = -1
        self.format = TarFormat.USTAR | TarFormat.PAX | TarFormat.GNU
        self.kinds: list[bytes] = []
        self.pax: bytes | None = None
        self.records = PaxRecords([], strict)

    def add(self, member: Member, most: int) -> None:
        """Count the extension header *member*, of which there may be *most*. Raises TarLimitError, TarAmbiguous."""
        if member.kind == b"g":
            if self._strict and self.kinds:
                raise tar_error(Problem.DROPPED_EXTENSION, self.start)
            return
        self._count += 1
        if self._count > most:
            raise tar_error(Problem.LIMIT_EXTENSIONS, member.at, most, self._count)
        if self._strict and member.kind in self.kinds:
            raise tar_error(Problem.TWO_EXTENSIONS, member.at)
        if self._strict and member.kind != b"x" and self.records.get(b"size"):
            raise tar_error(Problem.SIZE_BEFORE_NAME, member.at)
        if member.kind not in self.kinds:
            self.kinds.append(member.kind)

    def take(self, member: Member, body: bytes) -> None:
        """Read the *body* of the extension header *member*. Raises TarPaxError, TarAmbiguous."""
        if member.kind == b"L":
            self._longname = c_string(body)
        elif member.kind == b"K":
            self._longlink = c_string(body)
        else:
            self.pax = body
            self.records = PaxRecords(split_records(body, member.at + BLOCK), self._strict)
            if self._strict:
                self.records.check(member.kind)

    def merge(self, member: Member) -> Member:
        """Return the entry *member* as these headers have it. Raises TarPaxError, TarAmbiguous."""
        records = self.records
        if self._strict:
            self._check(member)
        member = member._replace(
            name=self._longname or records.get(b"path") or member.name,
            linkname=self._longlink or records.get(b"linkpath") or member.linkname,
            uname=records.get(b"uname") or member.uname,
            gname=records.get(b"gname") or member.gname,
            uid=records.number(b"uid", Problem.PAX_UID, member.uid),
            gid=records.number(b"gid", Problem.PAX_GID, member.gid),
            size=records.number(b"size", Problem.PAX_SIZE, member.size),
            mtime=records.time(b"mtime", member.mtime),
            atime=records.time(b"atime", member.atime),
            ctime=records.time(b"ctime", member.ctime),
        )
        if member.kind == b"\0":  # before ustar, a directory is a file whose name ends in a slash
            member = member._replace(kind=b"5" if member.name.endswith(b"/") else b"0")
        return member

    def _check(self, member: Member) -> None:
        if self._longname and self.records.get(b"path"):
            raise tar_error(Problem.TWO_NAMES, member.at)
        if self._longlink and self.records.get(b"linkpath"):
            raise tar_error(Problem.TWO_LINKNAMES, member.at)
        if member.kind in b"XA":
            raise tar_error(Problem.SOLARIS_HEADER, member.at)
        if member.kind == b"V":
            raise tar_error(Problem.VOLUME_LABEL, member.at)
