"""A ustar archive written in one pass, its members side by side: headers are reserved first and patched last."""

from __future__ import annotations

import os
from dataclasses import dataclass

from occy_fast.files.staged import COPY_STEP, write_all

BLOCK = 512
END_OF_ARCHIVE = bytes(2 * BLOCK)

_OCTAL_SIZES = 8**11                                 # from here on, sizes are base-256


def tar_header(name: str, size: int, *, directory: bool = False, link: str = "") -> bytes:
    """Format one ustar header: mtime 0, root's, mode 0644, 0755 or 0777.  (POSIX pax, "ustar Interchange Format")

    Args:
        name: at most 100 ASCII bytes, which all names of an image archive are.
        size: bytes; base-256 from 8 GiB, as GNU tar and Go write it.
        link: where a symbolic link leads, as long as a name may be.
    """
    encoded, target = name.encode("ascii"), link.encode("ascii")
    assert max(len(encoded), len(target)) <= 100, (name, link)
    header = bytearray(BLOCK)
    header[0 : len(encoded)] = encoded
    header[100:108] = b"0000755\0" if directory else b"0000777\0" if link else b"0000644\0"
    header[108:116] = header[116:124] = b"0000000\0"
    header[124:136] = b"%011o\0" % size if size < _OCTAL_SIZES else b"\x80" + size.to_bytes(11, "big")
    header[136:148] = b"00000000000\0"
    header[148:156] = b" " * 8
    header[156:157] = b"5" if directory else b"2" if link else b"0"
    header[157 : 157 + len(target)] = target
    header[257:265] = b"ustar\x0000"
    header[329:337] = header[337:345] = b"0000000\0"
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header)


def padded(size: int) -> int:
    """Round *size* up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def tar_member(name: str, data: bytes) -> bytes:
    """Format a whole member, its header in front."""
    return tar_header(name, len(data)) + data + bytes(padded(len(data)) - len(data))


@dataclass(slots=True, eq=False)
class Region:
    """A member's place: its header at *offset*, then its body; *name* comes last, and without one it is garbage."""

    offset: int
    size: int | None
    name: str | None = None

    @property
    def body(self) -> int:
        return self.offset + BLOCK

    @property
    def end(self) -> int:
        assert self.size is not None
        return self.body + padded(self.size)


class TarOutput:
    """Members of a tar under construction in a file of the caller's; not locked, so the caller serialises its calls.

    Regions of known size lie one behind the other and may be written in any order. A region of unknown size is the last
    as long as it is open. Dropped regions at the end are cut off; dropped regions in between are closed by `finish`,
    which moves what follows down, so that nothing but members is ever in the finished archive.
    """

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._regions: list[Region] = []

    @property
    def end(self) -> int:
        return self._regions[-1].end if self._regions else 0

    @property
    def growing(self) -> bool:
        """Tell whether the last region's size is still unknown."""
        return bool(self._regions) and self._regions[-1].size is None

    def reserve(self, size: int | None) -> Region:
        """Take the next region; not while one is growing."""
        assert not self.growing
        region = Region(self.end, size)
        self._regions.append(region)
        return region

    def keep(self, region: Region, name: str, size: int) -> None:
        """Finish *region* as the member *name*. Raises OSError."""
        assert region.size in (None, size)
        region.size = size
        write_all(self.fd, tar_header(name, size), region.offset)
        tail = region.end - region.body - size
        if tail:                                     # what was there before may have been longer
            write_all(self.fd, bytes(tail), region.body + size)
        region.name = name

    def is_last(self, region: Region) -> bool:
        """Tell whether nothing stands behind *region*."""
        return region is self._regions[-1]

    def drop(self, region: Region) -> None:
        """Give *region* up. Raises OSError."""
        region.name = None
        if region.size is None:
            region.size = 0
        if self.is_last(region):
            self._regions.pop()
            os.ftruncate(self.fd, region.offset)

    def drop_member(self, name: str) -> None:
        """Give every member *name* up. Raises OSError."""
        for region in [region for region in self._regions if region.name == name]:
            self.drop(region)

    def append(self, name: str, data: bytes) -> None:
        """Add a small member. Raises OSError."""
        region = self.reserve(len(data))
        write_all(self.fd, data, region.body)
        self.keep(region, name, len(data))

    def append_directory(self, name: str) -> None:
        """Add a directory's header. Raises OSError."""
        self._append_header(name, tar_header(name, 0, directory=True))

    def append_link(self, name: str, target: str) -> None:
        """Add a symbolic link. Raises OSError."""
        self._append_header(name, tar_header(name, 0, link=target))

    def _append_header(self, name: str, header: bytes) -> None:
        region = self.reserve(0)
        write_all(self.fd, header, region.offset)
        region.name = name

    def rename(self, names: dict[str, str]) -> None:
        """Give every file a new name, and drop those that *names* does not have. Raises OSError."""
        for region in self._regions:
            region.name = names.get(region.name or "")
            if region.name is not None:
                assert region.size is not None
                write_all(self.fd, tar_header(region.name, region.size), region.offset)

    def close_gaps(self) -> None:
        """Keep the first of the members that have the same name, and move members down over dropped regions.

        Raises OSError.
        """
        kept: list[Region] = []
        names: set[str] = set()
        position = 0
        for region in self._regions:
            if region.name is None or region.name in names:
                continue
            names.add(region.name)
            length = region.end - region.offset
            if position != region.offset:
                _move_down(self.fd, region.offset, position, length)
                region.offset = position
            kept.append(region)
            position += length
        self._regions = kept

    def finish(self) -> None:
        """Write the end of the archive right behind the last member. Raises OSError."""
        assert all(region.name is not None for region in self._regions)
        write_all(self.fd, END_OF_ARCHIVE, self.end)
        os.ftruncate(self.fd, self.end + len(END_OF_ARCHIVE))


def _move_down(fd: int, source: int, target: int, length: int) -> None:
    done = 0
    while done < length:
        data = os.pread(fd, min(COPY_STEP, length - done), source + done)
        assert data, "a member reaches beyond the end of the archive"
        write_all(fd, data, target + done)
        done += len(data)
