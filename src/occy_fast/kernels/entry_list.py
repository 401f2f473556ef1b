"""The entries of a layer in a compact form, the same from both twins of the scan: what unpacking depends on.

Per entry: its type, one byte; the offset of its header in blocks of 512 bytes, less the one before; how many bytes its
name has in common with the begin of the name before; then the rest of the name, the link's name, and the keys of its
extended attributes joined by NUL, each behind its length. Numbers are unsigned LEB128. A million entries with names of
60 bytes take about 25 MB, so a layer's list can wait until those below it are known.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

BLOCK: Final = 512
ENTRY_SIZE: Final = 32
"""A list may have so many bytes for each entry that is allowed; a longer one is dropped, as one of more entries is."""

_XATTR: Final = b"SCHILY.xattr."


class ListedEntry(NamedTuple):
    """One entry as a list has it.

    Attributes:
        type: the typeflag, one byte, as Go reads it: a header from before ustar has become b"0" or b"5".
        offset: of its own header in the tar.
        name: the bytes that stand there, never normalised.
        linkname: of a hard or symbolic link; of other types whatever their header has.
        xattrs: keys of its extended attributes with a value, in the order they stand.
    """

    type: bytes
    offset: int
    name: bytes
    linkname: bytes
    xattrs: tuple[bytes, ...]


class EntryList:
    """A list under construction.

    Args:
        max_entries: the most it takes, 0 for none.
    """

    def __init__(self, max_entries: int) -> None:
        self._left = max_entries
        self._most = max_entries * ENTRY_SIZE
        self._list: bytearray | None = bytearray() if max_entries else None
        self._name = b""
        self._block = 0

    def add(
        self, kind: bytes, offset: int, name: bytes, linkname: bytes, records: Sequence[tuple[bytes, bytes]]
    ) -> None:
        """Add an entry; *records* are those of its PAX header, of which the keys of extended attributes are kept.

        What is more than may be drops the list as a whole.
        """
        if self._list is None:
            return
        keys = b""
        if kind != b"g":
            keys = b"\0".join(key.removeprefix(_XATTR) for key, value in records if key.startswith(_XATTR) and value)
        shared = _common(self._name, name)
        block = offset // BLOCK
        rest = name[shared:]
        entry = kind + _number(block - self._block) + _number(shared)
        entry += b"".join(_number(len(text)) + text for text in (rest, linkname, keys))
        self._name, self._block = name, block
        self._left -= 1
        if self._left < 0 or len(self._list) + len(entry) > self._most:
            self._list = None
        else:
            self._list += entry

    def entries(self) -> bytes | None:
        """Return the list as it is; None where there was more than may be."""
        return None if self._list is None else bytes(self._list)


def read_entries(raw: bytes) -> Iterator[ListedEntry]:
    """Yield the entries of a list. Raises ValueError for what is none."""
    at = block = 0
    name = b""
    while at < len(raw):
        kind = raw[at : at + 1]
        blocks, at = _read_number(raw, at + 1)
        shared, at = _read_number(raw, at)
        if shared > len(name):
            raise ValueError(f"an entry list that shares {shared} bytes of a name of {len(name)}")
        rest, at = _read_text(raw, at)
        linkname, at = _read_text(raw, at)
        keys, at = _read_text(raw, at)
        block += blocks
        name = name[:shared] + rest
        yield ListedEntry(kind, block * BLOCK, name, linkname, tuple(keys.split(b"\0")) if keys else ())


def _common(one: bytes, other: bytes) -> int:
    """Count how many bytes two names share from their begin."""
    most = min(len(one), len(other))
    if one[:most] == other[:most]:
        return most
    return next(at for at in range(most) if one[at] != other[at])


def _number(value: int) -> bytes:
    packed = bytearray()
    while value >= 0x80:
        packed.append(value & 0x7F | 0x80)
        value >>= 7
    packed.append(value)
    return bytes(packed)


def _read_number(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while at < len(raw) and shift < 64:
        value |= (raw[at] & 0x7F) << shift
        at += 1
        if raw[at - 1] < 0x80:
            return value, at
        shift += 7
    raise ValueError(f"an entry list without the end of a number before byte {at}")


def _read_text(raw: bytes, at: int) -> tuple[bytes, int]:
    length, at = _read_number(raw, at)
    if length > len(raw) - at:
        raise ValueError(f"an entry list that ends inside a text at byte {at}")
    return raw[at : at + length], at + length
