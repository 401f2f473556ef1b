"""Find the entries of a tar stream: those that Go's archive/tar finds.  (POSIX pax, "ustar Interchange Format")"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

from occy_fast.errors import TarError
from occy_fast.kernels.tar_problems import Problem, check_limits, tar_error
from occy_fast.kernels.tar_records import TarBatch, TarFormat, TarRecord, merge_records, pack_record

BLOCK = 512
ZEROS = bytes(BLOCK)
INT64 = range(-(2**63), 2**63)
# Of a GNU header: in front of the names of all others, some readers put what stands where ustar has a prefix.
WITHOUT_PREFIX = b"LKSxg"
WITHOUT_CONTENT = b"123456"  # hard link, symbolic link, character and block device, directory, fifo

DECIMAL = re.compile(rb"[+-]?[0-9]+")
OCTAL = re.compile(rb"[0-7]+")
TIME = re.compile(rb"([+-]?[0-9]+)(?:\.([0-9]*))?")

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


def _c_string(field: bytes) -> bytes:
    return field.partition(b"\0")[0]


def _octal(field: bytes) -> int | None:
    """Return the octal number in *field*, between blanks and NULs; None if it holds something else."""
    digits = _c_string(field.strip(b" \0"))
    if not digits:
        return 0
    if not OCTAL.fullmatch(digits):
        return None
    value = int(digits, 8)
    if value >= 2**64:
        return None
    return value - 2**64 if value >= 2**63 else value


def _number(field: bytes) -> int | None:
    """Return the number in a header field, octal or base-256; None if it is none, or beyond 64 bits."""
    if not field or field[0] < 0x80:
        return _octal(field)
    raw = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
    if field[0] & 0x40:
        raw -= 1 << (8 * len(field) - 1)
    return raw if raw in INT64 else None


def _decimal(text: bytes) -> int | None:
    """Return the decimal number in *text*, which may have a sign; None if it is none, or beyond 64 bits."""
    if not DECIMAL.fullmatch(text):
        return None
    digits = text.lstrip(b"+-").lstrip(b"0")
    if len(digits) > 19:
        return None
    value = int(digits or b"0")
    value = -value if text[0] == ord("-") else value
    return value if value in INT64 else None


def _time(text: bytes) -> int | None:
    """Return a PAX time in nanoseconds, what is finer cut off; None if it is none."""
    match = TIME.fullmatch(text)
    if match is None or (seconds := _decimal(match[1])) is None:
        return None
    fraction = int(((match[2] or b"") + bytes(9).replace(b"\0", b"0"))[:9])
    if text[0] == ord("-") and fraction:
        # Go's clock wraps around below its first second.
        seconds, fraction = (seconds - 1 if seconds > INT64[0] else INT64[-1]), 10**9 - fraction
    return seconds * 10**9 + fraction


def parse_number(field: bytes) -> int:
    """Return the number in a header *field*, octal or base-256.  Raises TarHeaderError."""
    if (value := _number(bytes(field))) is None:
        raise tar_error(Problem.SIZE, 0)
    return value


def parse_time(text: bytes) -> int:
    """Return the PAX time *text* in nanoseconds since the epoch; what is finer is cut off.  Raises TarPaxError."""
    if (value := _time(bytes(text))) is None:
        raise tar_error(Problem.PAX_TIME, 0)
    return value


def parse_records(body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the records (key, value) of a PAX header's *body*, in order.  (POSIX pax, "pax Header Block")

    Raises:
        TarPaxError: a record is malformed; the offset counts from the begin of *body*.
    """
    return tuple((record.key, record.value) for record in _records(bytes(body), 0))


class _Record(NamedTuple):
    key: bytes
    value: bytes
    at: int


def _records(body: bytes, base: int) -> list[_Record]:
    """Return the records of *body*, which stands at byte *base* of the tar."""
    records = []
    sparse_numbers = 0
    at = 0
    while at < len(body):
        space = body.find(b" ", at)
        length = _decimal(body[at:space]) if space >= 0 else None
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
        records.append(_Record(key, value, base + at))
        at += length
    return records


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _regions_problem(regions: list[tuple[int, int]], size: int, stored: int, strict: bool) -> Problem:
    """Tell what is wrong with a sparse map over *size* bytes of which *stored* are in the tar."""
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


class _Awaits(Enum):
    """What the next block is."""

    HEADER = auto()
    EXTENSION = auto()
    OLD_SPARSE_BLOCK = auto()
    SPARSE_MAP = auto()


class _Member(NamedTuple):
    """A header as its own block tells it."""

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
    old_sparse: bool


NO_MEMBER = _Member(0, b"", b"", b"", 0, 0, 0, 0, None, b"", b"", 0, 0, None, None, TarFormat(0), False)


class TarScan:
    """Scan a tar handed over in windows of any size; what stands before an error is handed out first.

    One scan belongs to one thread.  Lenient reading gives the entries Go's archive/tar gives, and refuses what it
    refuses; strict reading also refuses what readers are known to understand differently.

    Args:
        strict: refuse what readers disagree on (TarAmbiguous).
        max_extension: bytes of one PAX header or GNU long name.
        max_sparse_map: bytes of one sparse map.
        max_extensions: extension headers on one entry.
        keep: hand out records; False only checks.

    Attributes:
        offset: bytes of the tar seen or skipped so far.
        members: entries found.
        skippable: bytes from here on that the scan need not see.
        closed: a zero block, the first of the end of the archive, was seen.
        ended: the end of the archive, two zero blocks, was seen.
        hidden: offset of the first byte behind that end that is not zero; -1 as long as there is none.
    """

    def __init__(
        self,
        *,
        strict: bool = False,
        max_extension: int = 1048576,
        max_sparse_map: int = 1048576,
        max_extensions: int = 16,
        keep: bool = True,
    ) -> None:
        check_limits(max_extension, max_sparse_map, max_extensions)
        self.offset = 0
        self.members = 0
        self.closed = False
        self.ended = False
        self.hidden = -1
        self._strict = strict
        self._max_extension = max_extension
        self._max_sparse_map = max_sparse_map
        self._max_extensions = max_extensions
        self._keep = keep
        self._failed: TarError | None = None
        self._awaits = _Awaits.HEADER
        self._member = NO_MEMBER
        self._stored = 0
        self._block = bytearray()  # of the block or extension body that is not complete yet
        self._block_length = BLOCK
        self._content = 0  # bytes of content still to come
        self._padding = 0
        self._lone_global = -1  # the first global header since the last entry
        self._packed: list[bytes] = []
        self._texts = bytearray()
        self._forget_extensions()

    def _forget_extensions(self) -> None:
        self._start = -1
        self._extensions = 0
        self._kinds: list[bytes] = []
        self._format = TarFormat.USTAR | TarFormat.PAX | TarFormat.GNU
        self._pax: bytes | None = None
        self._pax_records: list[_Record] = []
        self._longname = b""
        self._longlink = b""
        self._regions: list[tuple[int, int]] = []
        self._map_blocks = 0
        self._map_lines = 0
        self._map_count: int | None = None
        self._map_text = bytearray()

    @property
    def skippable(self) -> int:
        return self._content + self._padding if self._failed is None else 0

    def feed(self, window: bytes | bytearray | memoryview) -> TarBatch:
        """Scan the next bytes of the tar and return the entries whose headers they complete.

        Raises:
            TarError: the tar is broken; raised by the next call where this window holds entries that come before it.
        """
        self._raise_failure()
        with memoryview(window) as view, view.cast("B") as octets:
            try:
                self._scan(octets)
            except TarError as error:
                self._failed = error
        if self._failed is not None and not self._packed:
            raise self._failed
        batch = TarBatch(b"".join(self._packed), bytes(self._texts))
        self._packed.clear()
        self._texts.clear()
        return batch

    def skip(self, count: int) -> None:
        """Pass over *count* bytes that need not be seen; at most `skippable`."""
        self._raise_failure()
        if not 0 <= count <= self.skippable:
            raise ValueError(f"{count} bytes cannot be skipped, {self.skippable} can")
        self._pass_over(count)

    def finish(self) -> None:
        """Say that the tar is over.

        Raises:
            TarTruncated: it ends where Go's reader finds an unexpected end; a cut in padding is not one.
            TarError: what an earlier window left to be raised.
        """
        self._raise_failure()
        try:
            self._end()
        except TarError as error:
            self._failed = error
            raise

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed

    def _end(self) -> None:
        if self._content:
            raise tar_error(Problem.CUT_CONTENT, self.offset)
        if self._strict and self._padding:
            raise tar_error(Problem.CUT_PADDING, self.offset)
        if self._awaits is _Awaits.EXTENSION:
            raise tar_error(Problem.CUT_EXTENSION, self.offset)
        if self._awaits in (_Awaits.OLD_SPARSE_BLOCK, _Awaits.SPARSE_MAP):
            raise tar_error(Problem.CUT_SPARSE_MAP, self.offset)
        if self._block:
            raise tar_error(Problem.CUT_HEADER, self.offset)
        self._check_dangling()

    def _check_dangling(self) -> None:
        if self._strict and self._kinds:
            raise tar_error(Problem.DANGLING_EXTENSION, self._start)
        if self._strict and self._lone_global >= 0:
            raise tar_error(Problem.DANGLING_EXTENSION, self._lone_global)

    def _pass_over(self, count: int) -> None:
        content = min(count, self._content)
        self._content -= content
        self._padding -= count - content
        self.offset += count

    def _scan(self, window: memoryview) -> None:
        at = 0
        while at < len(window):
            if self.ended:
                self._look_for_hidden(window[at:])
                self.offset += len(window) - at
                if self._strict and self.hidden >= 0:
                    raise tar_error(Problem.HIDDEN_BYTES, self.hidden)
                return
            if self._content or self._padding:
                step = min(len(window) - at, self._content + self._padding)
                self._pass_over(step)
                at += step
                continue
            step = min(len(window) - at, self._block_length - len(self._block))
            self._block += window[at : at + step]
            self.offset += step
            at += step
            if len(self._block) == self._block_length:
                block = bytes(self._block)
                self._block.clear()
                self._take(block)

    def _look_for_hidden(self, window: memoryview) -> None:
        if self.hidden < 0 and (rest := bytes(window).lstrip(b"\0")):
            self.hidden = self.offset + len(window) - len(rest)

    def _take(self, block: bytes) -> None:
        match self._awaits:
            case _Awaits.HEADER:
                self._take_header(block)
            case _Awaits.EXTENSION:
                self._take_extension(block)
            case _Awaits.OLD_SPARSE_BLOCK:
                self._take_old_sparse(block, 21, 504)
            case _Awaits.SPARSE_MAP:
                self._take_sparse_map(block)

    # ------------------------------------------------------------------------------------------------- headers

    def _take_header(self, block: bytes) -> None:
        at = self.offset - BLOCK
        if block == ZEROS:
            if self.closed:
                self._check_dangling()
                self.ended = True
            self.closed = True
            return
        if self.closed:
            raise tar_error(Problem.LONE_ZERO_BLOCK, at)
        member = self._parse_header(block, at)
        if member.kind not in WITHOUT_CONTENT and member.size < 0:
            raise tar_error(Problem.NEGATIVE_SIZE, at)
        if self._start < 0:
            self._start = at
        self._format &= member.format
        if member.kind in b"xgLK":
            self._begin_extension(member)
        else:
            self._begin_entry(member, block)

    def _parse_header(self, block: bytes, at: int) -> _Member:
        self._check_checksum(block, at)
        magic, version = block[257:263], block[263:265]
        ustar = magic == b"ustar\0"
        star = ustar and block[508:512] == b"tar\0"
        gnu = magic == b"ustar " and version == b" \0"
        size = self._field(block, 124, 12, Problem.SIZE, at)
        mode = self._field(block, 100, 8, Problem.MODE, at)
        uid = self._field(block, 108, 8, Problem.UID, at)
        gid = self._field(block, 116, 8, Problem.GID, at)
        mtime = self._field(block, 136, 12, Problem.MTIME, at) * 10**9
        uname = gname = prefix = b""
        devmajor = devminor = 0
        atime = ctime = None
        dialect = TarFormat(0)
        if ustar or gnu:
            uname, gname = _c_string(block[265:297]), _c_string(block[297:329])
            devmajor = self._field(block, 329, 8, Problem.DEVICE, at)
            devminor = self._field(block, 337, 8, Problem.DEVICE, at)
        if star:
            prefix = _c_string(block[345:476])
            atime = self._field(block, 476, 12, Problem.STAR_TIME, at) * 10**9
            ctime = self._field(block, 488, 12, Problem.STAR_TIME, at) * 10**9
        elif ustar:
            prefix = _c_string(block[345:500])
            # The dialect is named only where the header is what that dialect's rules let a writer write.
            ends = (block[end - 1] for end in (108, 116, 124, 136, 148, 337, 345))
            if block.isascii() and not any(ends):
                dialect = TarFormat.USTAR | TarFormat.PAX
            if self._strict and version != b"00":
                raise tar_error(Problem.USTAR_VERSION, at)
        elif gnu:
            dialect = TarFormat.GNU
            fields = (block[345:357], block[357:369])
            times = [_number(field) if field[0] else None for field in fields]
            if any(value is None and field[0] for value, field in zip(times, fields, strict=True)):
                # Writers of Go before 1.8 put a ustar prefix over the times.
                dialect = TarFormat(0)
                prefix = _c_string(block[345:500])
                prefix = prefix if prefix.isascii() else b""
                if self._strict:
                    raise tar_error(Problem.GNU_PREFIX, at)
            else:
                atime, ctime = (None if value is None else value * 10**9 for value in times)
                if self._strict and atime is not None and block[156:157] not in WITHOUT_PREFIX:
                    raise tar_error(Problem.GNU_TIMES, at)
        name = _c_string(block[0:100])
        return _Member(
            at,
            block[156:157],
            prefix + b"/" + name if prefix else name,
            _c_string(block[157:257]),
            size,
            mode,
            uid,
            gid,
            mtime,
            uname,
            gname,
            devmajor,
            devminor,
            atime,
            ctime,
            dialect,
            gnu,
        )

    def _check_checksum(self, block: bytes, at: int) -> None:
        field = block[148:156]
        covered = block[:148] + b" " * 8 + block[156:]
        unsigned = sum(covered)
        expected = _octal(field)
        if expected == unsigned:
            return
        # Old Sun systems summed up signed characters.
        signed = unsigned - 256 * sum(octet >= 0x80 for octet in covered)
        if expected != signed:
            # Neither a checksum nor a magic: no header at all.
            foreign = not expected and field[0] < 0x80 and block[257:262] != b"ustar"
            raise tar_error(Problem.NO_HEADER if foreign else Problem.CHECKSUM, at)

    def _field(self, block: bytes, begin: int, length: int, problem: Problem, at: int) -> int:
        field = block[begin : begin + length]
        value = _number(field)
        if value is None:
            raise tar_error(problem, at)
        if self._strict and field[0] < 0x80 and b"\0" in (text := field.strip(b" \0")) and text.partition(b"\0")[2]:
            raise tar_error(Problem.NUMBER_TAIL, at)
        return value

    # ---------------------------------------------------------------------------------------------- extensions

    def _begin_extension(self, member: _Member) -> None:
        self._format &= TarFormat.PAX if member.kind in b"xg" else TarFormat.GNU
        if member.size > self._max_extension:
            raise tar_error(Problem.LIMIT_EXTENSION, member.at, self._max_extension, member.size)
        if member.kind == b"g":
            if self._strict and self._kinds:
                raise tar_error(Problem.DROPPED_EXTENSION, self._start)
        else:
            self._extensions += 1
            if self._extensions > self._max_extensions:
                raise tar_error(Problem.LIMIT_EXTENSIONS, member.at, self._max_extensions, self._extensions)
            if self._strict and member.kind in self._kinds:
                raise tar_error(Problem.TWO_EXTENSIONS, member.at)
            if self._strict and member.kind != b"x" and merge_records(self._key_values()).get(b"size"):
                raise tar_error(Problem.SIZE_BEFORE_NAME, member.at)
            if member.kind not in self._kinds:
                self._kinds.append(member.kind)
        self._member = member
        self._awaits = _Awaits.EXTENSION
        self._block_length = member.size
        if not member.size:
            self._take_extension(b"")

    def _take_extension(self, body: bytes) -> None:
        member = self._member
        self._awaits = _Awaits.HEADER
        self._block_length = BLOCK
        self._padding = -len(body) % BLOCK
        if member.kind == b"L":
            self._longname = _c_string(body)
            return
        if member.kind == b"K":
            self._longlink = _c_string(body)
            return
        self._pax = body
        self._pax_records = _records(body, member.at + BLOCK)
        if self._strict:
            self._check_records(member.kind)
        if member.kind == b"g":
            path = merge_records(self._key_values()).get(b"path", b"")
            self._hand_out(_global(member, path or member.name), member.at + BLOCK, 0, len(body), None)
            self._lone_global = self._lone_global if self._lone_global >= 0 else member.at

    def _key_values(self) -> list[tuple[bytes, bytes]]:
        return [(record.key, record.value) for record in self._pax_records]

    def _check_records(self, kind: bytes) -> None:
        seen: set[bytes] = set()
        binary = (b"hdrcharset", b"BINARY") in self._key_values()
        for key, value, at in self._pax_records:
            if key in SINGLE_KEYS and key in seen:
                raise tar_error(Problem.TWO_RECORDS, at)
            seen.add(key)
            if kind == b"g" and (key in APPLIED_KEYS or key.startswith(APPLIED_PREFIXES)):
                raise tar_error(Problem.GLOBAL_RECORD, at)
            if key in FIELD_KEYS and not value:
                raise tar_error(Problem.EMPTY_RECORD, at)
            if key in PATH_KEYS and not binary and not _is_utf8(value):
                raise tar_error(Problem.NOT_UTF8, at)

    # ------------------------------------------------------------------------------------------------- entries

    def _begin_entry(self, member: _Member, block: bytes) -> None:
        merged = merge_records(self._key_values())
        at = member.at
        if self._strict:
            self._check_merge(member, merged)
        self._lone_global = -1
        member = member._replace(
            name=self._longname or merged.get(b"path") or member.name,
            linkname=self._longlink or merged.get(b"linkpath") or member.linkname,
            uname=merged.get(b"uname") or member.uname,
            gname=merged.get(b"gname") or member.gname,
            uid=self._pax_number(merged, b"uid", Problem.PAX_UID, member.uid),
            gid=self._pax_number(merged, b"gid", Problem.PAX_GID, member.gid),
            size=self._pax_number(merged, b"size", Problem.PAX_SIZE, member.size),
            mtime=self._pax_time(merged, b"mtime", member.mtime),
            atime=self._pax_time(merged, b"atime", member.atime),
            ctime=self._pax_time(merged, b"ctime", member.ctime),
        )
        if member.kind == b"\0":  # before ustar, a directory is a file whose name ends in a slash
            member = member._replace(kind=b"5" if member.name.endswith(b"/") else b"0")
        stored = 0 if member.kind in WITHOUT_CONTENT else member.size
        if stored < 0:
            raise tar_error(Problem.NEGATIVE_SIZE, at)
        if self._strict:
            self._check_entry(member)
        self._member = member
        self._stored = stored
        if member.kind == b"S":
            if self._strict and any(key.startswith(b"GNU.sparse.") for key in merged):
                raise tar_error(Problem.SPARSE_VERSION, at)
            self._begin_old_sparse(block)
        elif not self._begin_pax_sparse(merged):
            self._content, self._padding = stored, -stored % BLOCK
            self._hand_out(member, self.offset, member.size, stored, None)

    def _value_at(self, key: bytes) -> int:
        return next(record.at for record in reversed(self._pax_records) if record.key == key)

    def _pax_number(self, merged: dict[bytes, bytes], key: bytes, problem: Problem, otherwise: int) -> int:
        if not (text := merged.get(key)):
            return otherwise
        if (value := _decimal(text)) is None:
            raise tar_error(problem, self._value_at(key))
        if self._strict and text[0] in b"+-":
            raise tar_error(Problem.PAX_NUMBER_SIGN, self._value_at(key))
        return value

    def _pax_time(self, merged: dict[bytes, bytes], key: bytes, otherwise: int | None) -> int | None:
        if not (text := merged.get(key)):
            return otherwise
        if (value := _time(text)) is None:
            raise tar_error(Problem.PAX_TIME, self._value_at(key))
        return value

    def _check_merge(self, member: _Member, merged: dict[bytes, bytes]) -> None:
        if self._longname and merged.get(b"path"):
            raise tar_error(Problem.TWO_NAMES, member.at)
        if self._longlink and merged.get(b"linkpath"):
            raise tar_error(Problem.TWO_LINKNAMES, member.at)
        if member.kind in b"XA":
            raise tar_error(Problem.SOLARIS_HEADER, member.at)
        if member.kind == b"V":
            raise tar_error(Problem.VOLUME_LABEL, member.at)

    def _check_entry(self, member: _Member) -> None:
        if not member.name:
            raise tar_error(Problem.EMPTY_NAME, member.at)
        if member.size and (member.kind in WITHOUT_CONTENT or (member.kind == b"0" and member.name.endswith(b"/"))):
            raise tar_error(Problem.SIZE_WITHOUT_CONTENT, member.at)

    # -------------------------------------------------------------------------------------------------- sparse

    def _begin_old_sparse(self, block: bytes) -> None:
        if not self._member.old_sparse:
            raise tar_error(Problem.SPARSE_DIALECT, self._member.at)
        if (size := _number(block[483:495])) is None:
            raise tar_error(Problem.SPARSE_SIZE, self._member.at)
        self._member = self._member._replace(size=size)
        self._take_old_sparse(block[386:], 4, 482 - 386)

    def _take_old_sparse(self, block: bytes, most: int, extended: int) -> None:
        at = self.offset - BLOCK
        for begin in range(0, 24 * most, 24):
            if block[begin] == 0:
                break
            offset, length = _number(block[begin : begin + 12]), _number(block[begin + 12 : begin + 24])
            if offset is None or length is None:
                raise tar_error(Problem.SPARSE_NUMBER, at)
            self._regions.append((offset, length))
        if block[extended]:
            self._count_map_block()
            self._awaits = _Awaits.OLD_SPARSE_BLOCK
            return
        self._hand_out_sparse()

    def _count_map_block(self) -> None:
        self._map_blocks += 1
        if self._map_blocks * BLOCK > self._max_sparse_map:
            raise tar_error(Problem.LIMIT_SPARSE_MAP, self.offset, self._max_sparse_map, self._map_blocks * BLOCK)

    def _begin_pax_sparse(self, merged: dict[bytes, bytes]) -> bool:
        """Start on the map of a sparse entry; return whether it is one."""
        version = merged.get(b"GNU.sparse.major", b""), merged.get(b"GNU.sparse.minor", b"")
        known = version in ((b"0", b"0"), (b"0", b"1"), (b"1", b"0"))
        guessed = version == (b"", b"") and bool(merged.get(b"GNU.sparse.map"))
        if not known and not guessed:
            if self._strict and any(key.startswith(b"GNU.sparse.") for key in merged):
                raise tar_error(Problem.SPARSE_VERSION, self._member.at)
            return False
        self._member = self._member._replace(name=merged.get(b"GNU.sparse.name") or self._member.name)
        key = b"GNU.sparse.size" if merged.get(b"GNU.sparse.size") else b"GNU.sparse.realsize"
        size = self._pax_number(merged, key, Problem.PAX_SPARSE_SIZE, self._member.size)
        self._member = self._member._replace(size=size)
        if version == (b"1", b"0"):
            self._await_map_block()
        else:
            self._read_pax_map(merged)
            self._hand_out_sparse()
        return True

    def _read_pax_map(self, merged: dict[bytes, bytes]) -> None:
        at = self._member.at
        count = _decimal(merged.get(b"GNU.sparse.numblocks", b""))
        text = merged.get(b"GNU.sparse.map", b"")
        numbers = text.split(b",") if text else []
        if count is None or len(numbers) != 2 * count:
            raise tar_error(Problem.PAX_SPARSE_COUNT, at)
        if (regions := _pairs(numbers)) is None:
            raise tar_error(Problem.PAX_SPARSE_NUMBER, at)
        self._regions = regions

    def _await_map_block(self) -> None:
        self._count_map_block()
        if self._stored < BLOCK:
            raise tar_error(Problem.SPARSE_PAST_ENTRY, self.offset)
        self._stored -= BLOCK
        self._awaits = _Awaits.SPARSE_MAP

    def _take_sparse_map(self, block: bytes) -> None:
        """Take a block of a map that stands in front of the content: a count and its numbers, each with a newline."""
        self._map_text += block
        self._map_lines += block.count(b"\n")
        if self._map_lines and self._map_count is None:
            self._map_count = _decimal(bytes(self._map_text.partition(b"\n")[0]))
            if self._map_count is None or not 0 <= self._map_count < 2**62:
                raise tar_error(Problem.SPARSE_COUNT, self._member.at)
        if self._map_count is None or self._map_lines <= 2 * self._map_count:
            self._await_map_block()
            return
        regions = _pairs(bytes(self._map_text).split(b"\n")[1 : 2 * self._map_count + 1])
        if regions is None:
            raise tar_error(Problem.SPARSE_NUMBER, self._member.at)
        self._regions = regions
        self._hand_out_sparse()

    def _hand_out_sparse(self) -> None:
        member = self._member
        if member.kind in WITHOUT_CONTENT:
            raise tar_error(Problem.SPARSE_WITHOUT_CONTENT, member.at)
        problem = _regions_problem(self._regions, member.size, self._stored, self._strict)
        if problem:
            raise tar_error(problem, member.at)
        self._awaits = _Awaits.HEADER
        self._content, self._padding = self._stored, -self._stored % BLOCK
        self._hand_out(member, self.offset, member.size, self._stored, tuple(self._regions))

    def _hand_out(
        self, member: _Member, data_offset: int, size: int, stored: int, sparse: tuple[tuple[int, int], ...] | None
    ) -> None:
        self.members += 1
        dialect = self._format
        if TarFormat.USTAR in dialect:
            dialect &= TarFormat.USTAR
        if self._keep:
            record = TarRecord(
                self._start,
                member.at,
                data_offset,
                size,
                stored,
                member.mode,
                member.uid,
                member.gid,
                member.mtime,
                member.atime,
                member.ctime,
                member.devmajor,
                member.devminor,
                member.kind,
                dialect,
                member.name,
                member.linkname,
                member.uname,
                member.gname,
                self._pax,
                sparse,
            )
            self._packed.append(pack_record(record, self._texts))
        self._forget_extensions()


def _pairs(numbers: list[bytes]) -> list[tuple[int, int]] | None:
    """Return decimal *numbers* as pairs; None if one of them is none."""
    values = [value for text in numbers if (value := _decimal(text)) is not None]
    if len(values) != len(numbers):
        return None
    return list(zip(values[::2], values[1::2], strict=True))


def _global(member: _Member, name: bytes) -> _Member:
    """Return what a global header shows of itself: its name, and nothing of its other fields."""
    return _Member(member.at, b"g", name, b"", 0, 0, 0, 0, None, b"", b"", 0, 0, None, None, member.format, False)
