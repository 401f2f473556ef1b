"""Compute the CRC-32 of gzip, and join it from parts."""

from __future__ import annotations

import zlib
from typing import Final

# CRCs are polynomials over GF(2), the highest bit holding x**0.
_GENERATOR: Final = 0xEDB88320
_ONE: Final = 0x80000000
_X8: Final = 0x00800000


def crc32(data: bytes | bytearray | memoryview, value: int = 0) -> int:
    """Return the CRC-32 of what gave *value* followed by *data*.  (RFC 1952, section 8)

    Args:
        value: 0 for nothing.
    """
    return zlib.crc32(data, value)


def _multiply(a: int, b: int) -> int:
    product = 0
    while a:
        if a & _ONE:
            product ^= b
        a = a << 1 & 0xFFFFFFFF
        b = b >> 1 ^ (_GENERATOR if b & 1 else 0)
    return product


def crc32_combine(crc1: int, crc2: int, len2: int) -> int:
    """Return the CRC-32 of two contents in a row from that of each.

    Args:
        len2: bytes of the second content, below 2**64.
    """
    shift, power = _ONE, _X8
    while len2:
        if len2 & 1:
            shift = _multiply(shift, power)
        power = _multiply(power, power)
        len2 >>= 1
    return _multiply(shift, crc1) ^ crc2
