"""The format of compress(1): LZW with codes of 9 to 16 bits, the lowest bit first."""

from __future__ import annotations

MAGIC = b"\x1f\x9d"
CLEAR = 256


def decompress(raw: bytes) -> bytes:
    """Return what *raw* holds; ValueError where it is no such stream."""
    if raw[:2] != MAGIC or not 9 <= raw[2] & 31 <= 16:
        raise ValueError("no stream of compress(1)")
    most, clears = raw[2] & 31, bool(raw[2] & 0x80)
    first = CLEAR + 1 if clears else CLEAR
    words = [bytes((value,)) for value in range(256)] + [b""] * (first - 256)
    bits, width, at, group = memoryview(raw)[3:], 9, 0, 0
    made = bytearray()
    before = b""
    while at + width <= 8 * len(bits):
        piece = int.from_bytes(bits[at // 8 : at // 8 + 4], "little")
        code = piece >> at % 8 & (1 << width) - 1
        at += width
        if clears and code == CLEAR:
            at = group + -(-(at - group) // (8 * width)) * 8 * width  # codes come in groups of eight
            del words[first:]
            width, group, before = 9, at, b""
            continue
        if code > len(words) or (code == len(words) and not before):
            raise ValueError(f"code {code} has no meaning yet")
        word = words[code] if code < len(words) else before + before[:1]
        made += word
        if before and len(words) < 1 << most:
            words.append(before + word[:1])
            if len(words) == 1 << width and width < most:
                at = group + -(-(at - group) // (8 * width)) * 8 * width
                width, group = width + 1, at
        before = word
    return bytes(made)
