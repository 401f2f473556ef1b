"""Build tars of every dialect block by block, whole or damaged."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

BLOCK = 512
END = bytes(2 * BLOCK)

MAGIC = {"v7": bytes(8), "ustar": b"ustar\x0000", "star": b"ustar\x0000", "gnu": b"ustar  \0"}


def padded(content: bytes) -> bytes:
    """Return *content* filled up with zeros to whole blocks."""
    return content + bytes(-len(content) % BLOCK)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base_256(value: int, width: int) -> bytes:
    raw = (value % (1 << (8 * width - 1))).to_bytes(width, "big")
    return bytes([raw[0] | 0x80]) + raw[1:]


def number(value: int, width: int) -> bytes:
    """Return *value* as a header field: octal where it fits, else base-256."""
    return octal(value, width) if 0 <= value < 8 ** (width - 1) else base_256(value, width)


def checked(header: bytes) -> bytes:
    """Return *header* with the checksum it must have."""
    blank = header[:148] + b" " * 8 + header[156:]
    return header[:148] + b"%06o\0 " % sum(blank) + header[156:]


def patched(header: bytes, at: int, field: bytes) -> bytes:
    """Return *header* with *field* at byte *at*, its checksum right again."""
    return checked(header[:at] + field + header[at + len(field) :])


def header(
    name: bytes = b"a",
    size: int = 0,
    kind: bytes = b"0",
    *,
    dialect: str = "ustar",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: int = 0,
    linkname: bytes = b"",
    uname: bytes = b"",
    gname: bytes = b"",
    prefix: bytes = b"",
) -> bytes:
    """Return one header block."""
    block = name.ljust(100, b"\0") + number(mode, 8) + number(uid, 8) + number(gid, 8)
    block += number(size, 12) + number(mtime, 12) + bytes(8) + kind + linkname.ljust(100, b"\0") + MAGIC[dialect]
    if dialect != "v7":
        block += uname.ljust(32, b"\0") + gname.ljust(32, b"\0") + octal(0, 8) + octal(0, 8)
        block += b"" if dialect == "gnu" else prefix.ljust(131, b"\0")
    if dialect == "star":
        block += octal(1, 12) + octal(2, 12)
        block = block.ljust(508, b"\0") + b"tar\0"
    return checked(block.ljust(BLOCK, b"\0"))


def entry(name: bytes = b"a", content: bytes = b"", kind: bytes = b"0", **fields: object) -> bytes:
    return header(name, len(content), kind, **fields) + padded(content)  # type: ignore[arg-type]


def pax_record(key: bytes, value: bytes) -> bytes:
    """Return one PAX record, its length included in itself."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def pax_records(*records: tuple[bytes, bytes]) -> bytes:
    return b"".join(pax_record(key, value) for key, value in records)


def pax(*records: tuple[bytes, bytes], kind: bytes = b"x") -> bytes:
    return entry(b"PaxHeaders/x", pax_records(*records), kind)


def long_name(name: bytes, kind: bytes = b"L") -> bytes:
    return entry(b"././@LongLink", name + b"\0", kind, dialect="gnu")


def sparse_fields(regions: list[tuple[int, int]], places: int) -> bytes:
    return b"".join(number(offset, 12) + number(length, 12) for offset, length in regions).ljust(24 * places, b"\0")


def old_sparse(name: bytes, size: int, regions: list[tuple[int, int]], content: bytes) -> bytes:
    """Return a sparse entry of GNU's oldest form, with as many map blocks as it takes."""
    block = header(name, len(content), b"S", dialect="gnu")
    more = regions[4:]
    block = patched(block, 386, sparse_fields(regions[:4], 4) + (b"\1" if more else b"\0") + number(size, 12))
    while more:
        piece, more = more[:21], more[21:]
        block += (sparse_fields(piece, 21) + (b"\1" if more else b"\0")).ljust(BLOCK, b"\0")
    return block + padded(content)


def pax_sparse(version: str, name: bytes, size: int, regions: list[tuple[int, int]], content: bytes) -> bytes:
    """Return a sparse entry of the PAX form 0.0, 0.1 or 1.0."""
    count = b"%d" % len(regions)
    flat = [b"%d" % number for region in regions for number in region]
    if version == "1.0":
        records = [(b"GNU.sparse.major", b"1"), (b"GNU.sparse.minor", b"0"), (b"GNU.sparse.name", name)]
        records.append((b"GNU.sparse.realsize", b"%d" % size))
        content = padded(b"\n".join([count, *flat, b""])) + content
    elif version == "0.1":
        records = [(b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.numblocks", count)]
        records += [(b"GNU.sparse.name", name), (b"GNU.sparse.map", b",".join(flat))]
    else:
        records = [(b"GNU.sparse.size", b"%d" % size), (b"GNU.sparse.numblocks", count)]
        for offset, length in regions:
            records += [(b"GNU.sparse.offset", b"%d" % offset), (b"GNU.sparse.numbytes", b"%d" % length)]
    return pax(*records) + entry(b"GNUSparseFile.0/x", content)


# ------------------------------------------------------------------------------------------------------- strategies

letters = st.binary(min_size=0, max_size=30).map(lambda raw: raw.replace(b"\0", b"/"))
names = letters | st.just(b"d/") | st.just(b"usr/bin/tool")
numbers = st.integers(-(2**62), 2**62) | st.integers(0, 2**21)
contents = st.binary(max_size=40) | st.integers(0, 1600).map(lambda size: b"c" * size)
kinds = st.sampled_from([b"0", b"1", b"2", b"5", b"\0", b"3", b"7", b"Z", b"X", b"A", b"V", b"S", b"D", b"6"])

pax_numbers = st.one_of(
    st.integers(-5, 3000).map(lambda value: b"%d" % value),
    st.sampled_from(
        [b"", b"+7", b"007", b"-0", b"1.5", b"-1.000000001", b"-0.1", b"1.", b".5", b"x", b"9223372036854775808"]
    ),
    st.sampled_from([b"-9223372036854775808.5", b"9223372036854775807.999999999999"]),
)
pax_keys = st.sampled_from(
    [b"path", b"linkpath", b"uname", b"gname", b"comment", b"SCHILY.xattr.user.a", b"hdrcharset"]
)
number_keys = st.sampled_from([b"uid", b"gid", b"size", b"mtime", b"atime", b"ctime"])
sparse_keys = st.sampled_from(
    [
        b"GNU.sparse." + key
        for key in (b"major", b"minor", b"map", b"name", b"numblocks", b"size", b"realsize", b"offset", b"numbytes")
    ]
)
sparse_values = st.sampled_from([b"", b"0", b"1", b"2", b"1,2", b"0,1,5,2", b"10", b"1,", b"x", b"-1"])
any_record = st.one_of(
    st.tuples(pax_keys, names),
    st.tuples(number_keys, pax_numbers),
    st.tuples(sparse_keys, sparse_values),
    st.tuples(letters, letters),
)


@st.composite
def region_lists(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Draw stored regions in order, and the size of a file that has them."""
    regions = []
    end = 0
    for gap, length in draw(st.lists(st.tuples(st.integers(0, 3000), st.integers(0, 300)), max_size=30)):
        regions.append((end + gap, length))
        end += gap + length
    return regions, end + draw(st.integers(0, 600))


@st.composite
def sparse_entries(draw: st.DrawFn) -> bytes:
    regions, size = draw(region_lists())
    content = b"s" * sum(length for _, length in regions)
    version = draw(st.sampled_from(["old", "0.0", "0.1", "1.0"]))
    if version == "old":
        return old_sparse(b"sparse", size, regions, content)
    return pax_sparse(version, b"sparse", size, regions, content)


@st.composite
def plain_entries(draw: st.DrawFn) -> bytes:
    return entry(
        draw(names),
        draw(contents),
        draw(kinds),
        dialect=draw(st.sampled_from(sorted(MAGIC))),
        mode=draw(st.integers(0, 0o7777)),
        uid=draw(numbers),
        gid=draw(numbers),
        mtime=draw(numbers),
        linkname=draw(letters),
        uname=draw(letters),
        gname=draw(letters),
        prefix=draw(letters),
    )


parts = st.one_of(
    plain_entries(),
    sparse_entries(),
    st.lists(any_record, max_size=6).map(lambda records: pax(*records)),
    st.lists(any_record, max_size=3).map(lambda records: pax(*records, kind=b"g")),
    st.tuples(names, st.sampled_from([b"L", b"K"])).map(lambda pair: long_name(*pair)),
)


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Draw a tar whose blocks are all what they claim to be; what they claim may still contradict itself."""
    body = b"".join(draw(st.lists(parts, max_size=8)))
    return body + draw(st.sampled_from([END, END + bytes(700), b"", bytes(BLOCK), END + b"hidden"]))


@dataclass(frozen=True)
class Damage:
    """One change: bytes put over others, the checksum of their block put right, and the tar cut."""

    at: float
    patch: bytes
    right_checksum: bool
    cut: float


damages = st.builds(
    Damage,
    st.floats(0, 1, exclude_max=True),
    st.binary(max_size=12)
    | st.sampled_from([b"7777777\0", b"-1", b" 12 \0", b"\x80\0\0\0\0\0\0\x01", b"\xff" * 12, b"1\x001\0"]),
    st.booleans(),
    st.sampled_from([1.0, 1.0, 1.0]) | st.floats(0, 1),
)

# Where a header keeps what a reader must not trust.
FIELDS = (
    0,
    100,
    108,
    116,
    124,
    136,
    148,
    156,
    157,
    257,
    263,
    265,
    329,
    337,
    345,
    357,
    386,
    398,
    476,
    482,
    483,
    504,
    508,
)


def damaged(tar: bytes, damage: Damage, field: int | None = None) -> bytes:
    """Return *tar* with *damage* done, at *field* of the block it falls into if given."""
    if not tar:
        return tar
    at = int(damage.at * len(tar))
    if field is not None:
        at = at // BLOCK * BLOCK + field
    tar = (tar[:at] + damage.patch + tar[at + len(damage.patch) :])[: len(tar)]
    begin = at // BLOCK * BLOCK
    block = tar[begin : begin + BLOCK]
    if damage.right_checksum and len(block) == BLOCK:
        tar = tar[:begin] + checked(block) + tar[begin + BLOCK :]
    return tar[: int(damage.cut * len(tar))]


@st.composite
def damaged_tars(draw: st.DrawFn) -> bytes:
    tar = draw(tars())
    for damage in draw(st.lists(damages, max_size=2)):
        tar = damaged(tar, damage, draw(st.none() | st.sampled_from(FIELDS)))
    return tar


window_sizes = st.sampled_from([1 << 20, 512, 1536, 1, 7, 511, 513, 4096])
