"""Find the entries of a tar stream: those that Go's archive/tar finds.  (POSIX pax, "ustar Interchange Format")"""

from __future__ import annotations

from occy_fast.errors import TarError
from occy_fast.kernels.entry_list import EntryList
from occy_fast.kernels.pure.tar_header import BLOCK, Member, parse_header
from occy_fast.kernels.pure.tar_number import header_number, pax_time
from occy_fast.kernels.pure.tar_pax import Extensions, split_records
from occy_fast.kernels.pure.tar_sparse import SparseEntry, sparse_version
from occy_fast.kernels.tar_problems import Problem, check_limits, tar_error
from occy_fast.kernels.tar_records import TarBatch, TarFormat, TarRecord, pack_record

ZEROS = bytes(BLOCK)


def parse_number(field: bytes) -> int:
    """Return the number in a header *field*, octal or base-256.  Raises TarHeaderError."""
    if (value := header_number(bytes(field))) is None:
        raise tar_error(Problem.SIZE, 0)
    return value


def parse_time(text: bytes) -> int:
    """Return the PAX time *text* in nanoseconds since the epoch; what is finer is cut off.  Raises TarPaxError."""
    if (value := pax_time(bytes(text))) is None:
        raise tar_error(Problem.PAX_TIME, 0)
    return value


def parse_records(body: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the records (key, value) of a PAX header's *body*, in order.  (POSIX pax, "pax Header Block")

    Raises:
        TarPaxError: a record is malformed; the offset counts from the start of *body*.
    """
    return tuple((record.key, record.value) for record in split_records(bytes(body), 0))


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
        max_entries: how many a list of the entries may have, which `entries` returns; 0 makes none.

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
        max_entries: int = 0,
        keep: bool = True,
    ) -> None:
        check_limits(max_extension, max_sparse_map, max_extensions, max_entries)
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
        self._list = EntryList(max_entries)
        self._failed: TarError | None = None
        self._extensions = Extensions(strict)
        self._extension: Member | None = None  # whose body is being read
        self._sparse: SparseEntry | None = None  # whose map is being read
        self._block = bytearray()  # of the block or extension body that is not complete yet
        self._block_length = BLOCK
        self._content = 0  # bytes of content still to come
        self._padding = 0
        self._lone_global = -1  # the first global header since the last entry
        self._packed: list[bytes] = []
        self._texts = bytearray()

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

    def entries(self) -> bytes | None:
        """Return the list of the entries so far; None where none is made, or there were more than may be.

        kernels/entry_list.py reads it.
        """
        return self._list.entries()

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
        if self._extension is not None:
            raise tar_error(Problem.CUT_EXTENSION, self.offset)
        if self._sparse is not None:
            raise tar_error(Problem.CUT_SPARSE_MAP, self.offset)
        if self._block:
            raise tar_error(Problem.CUT_HEADER, self.offset)
        self._check_dangling()

    def _check_dangling(self) -> None:
        if self._strict and self._extensions.kinds:
            raise tar_error(Problem.DANGLING_EXTENSION, self._extensions.start)
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
        if self._extension is not None:
            self._take_extension(self._extension, block)
        elif self._sparse is not None:
            self._go_on(self._sparse, complete=self._sparse.take(block, self.offset))
        else:
            self._take_header(block)

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
        member = parse_header(block, at, self._strict)
        if member.has_content and member.size < 0:
            raise tar_error(Problem.NEGATIVE_SIZE, at)
        if self._extensions.start < 0:
            self._extensions.start = at
        self._extensions.format &= member.format
        if member.kind in b"xgLK":
            self._start_extension(member)
        else:
            self._start_entry(self._extensions.merge(member), block)

    def _start_extension(self, member: Member) -> None:
        self._extensions.format &= TarFormat.PAX if member.kind in b"xg" else TarFormat.GNU
        if member.size > self._max_extension:
            raise tar_error(Problem.LIMIT_EXTENSION, member.at, self._max_extension, member.size)
        self._extensions.add(member, self._max_extensions)
        self._extension = member
        self._block_length = member.size
        if not member.size:
            self._take_extension(member, b"")

    def _take_extension(self, member: Member, body: bytes) -> None:
        self._extension = None
        self._block_length = BLOCK
        self._padding = -len(body) % BLOCK
        self._extensions.take(member, body)
        if member.kind == b"g":
            shown = _as_entry(member, self._extensions.records.get(b"path") or member.name)
            self._hand_out(shown, member.at + BLOCK, len(body), None)
            self._lone_global = self._lone_global if self._lone_global >= 0 else member.at

    def _start_entry(self, member: Member, block: bytes) -> None:
        self._lone_global = -1
        stored = member.size if member.has_content else 0
        if stored < 0:
            raise tar_error(Problem.NEGATIVE_SIZE, member.at)
        if self._strict:
            _check_entry(member)
        records, sparse = self._extensions.records, SparseEntry(member, stored, self._max_sparse_map)
        version = None if member.kind == b"S" else sparse_version(records)
        if self._strict and version is None and records.has_sparse_key:
            raise tar_error(Problem.SPARSE_VERSION, member.at)
        if member.kind == b"S":
            self._go_on(sparse, complete=sparse.start_old(block))
        elif version is not None:
            self._go_on(sparse, complete=sparse.start_pax(records, version, self.offset))
        else:
            self._content, self._padding = stored, -stored % BLOCK
            self._hand_out(member, self.offset, stored, None)

    def _go_on(self, sparse: SparseEntry, *, complete: bool) -> None:
        """Hand *sparse* out if its map is *complete*, else wait for the next block of it."""
        self._sparse = None if complete else sparse
        if complete:
            sparse.check(self._strict)
            self._content, self._padding = sparse.stored, -sparse.stored % BLOCK
            self._hand_out(sparse.member, self.offset, sparse.stored, tuple(sparse.regions))

    def _hand_out(
        self, member: Member, data_offset: int, stored: int, sparse: tuple[tuple[int, int], ...] | None
    ) -> None:
        extensions, self._extensions = self._extensions, Extensions(self._strict)
        self.members += 1
        self._list.add(member.kind, member.at, member.name, member.linkname, extensions.records.pairs)
        dialect = extensions.format
        if TarFormat.USTAR in dialect:
            dialect &= TarFormat.USTAR
        if self._keep:
            record = TarRecord(
                extensions.start,
                member.at,
                data_offset,
                member.size,
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
                extensions.pax,
                sparse,
            )
            self._packed.append(pack_record(record, self._texts))


def _check_entry(member: Member) -> None:
    """Refuse what readers disagree on. Raises TarAmbiguous."""
    if not member.name:
        raise tar_error(Problem.EMPTY_NAME, member.at)
    if member.size and (not member.has_content or (member.kind == b"0" and member.name.endswith(b"/"))):
        raise tar_error(Problem.SIZE_WITHOUT_CONTENT, member.at)


def _as_entry(member: Member, name: bytes) -> Member:
    """Return what a global header shows of itself: its name, and nothing of its other fields."""
    return Member(member.at, b"g", name, b"", 0, 0, 0, 0, None, b"", b"", 0, 0, None, None, member.format, False)
