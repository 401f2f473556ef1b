"""The numbers of tar headers and PAX records: the number, or None for what is not one or is beyond 64 bits."""

from __future__ import annotations

import re

INT64 = range(-(2**63), 2**63)

DECIMAL = re.compile(rb"[+-]?[0-9]+")
OCTAL = re.compile(rb"[0-7]+")
TIME = re.compile(rb"([+-]?[0-9]+)(?:\.([0-9]*))?")


def octal(field: bytes) -> int | None:
    """Return the octal number in *field*, between blanks and NULs; an empty field is 0."""
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    if not OCTAL.fullmatch(digits):
        return None
    value = int(digits, 8)
    if value >= 2**64:
        return None
    return value - 2**64 if value >= 2**63 else value


def header_number(field: bytes) -> int | None:
    """Return the number in a header field, octal or base-256."""
    if not field or field[0] < 0x80:
        return octal(field)
    raw = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
    if field[0] & 0x40:
        raw -= 1 << (8 * len(field) - 1)
    return raw if raw in INT64 else None


def has_tail(field: bytes) -> bool:
    """Tell whether bytes follow the end of an octal number, which some readers take for digits."""
    return field[0] < 0x80 and bool(field.strip(b" \0").partition(b"\0")[2])


def decimal(text: bytes) -> int | None:
    """Return the decimal number in *text*, which may have a sign."""
    if not DECIMAL.fullmatch(text):
        return None
    digits = text.lstrip(b"+-").lstrip(b"0")
    if len(digits) > 19:
        return None
    value = int(digits or b"0")
    value = -value if text[0] == ord("-") else value
    return value if value in INT64 else None


def pax_time(text: bytes) -> int | None:
    """Return a PAX time in nanoseconds since the epoch; what is finer is cut off."""
    match = TIME.fullmatch(text)
    if match is None or (seconds := decimal(match[1])) is None:
        return None
    fraction = int(((match[2] or b"") + bytes(9).replace(b"\0", b"0"))[:9])
    if text[0] == ord("-") and fraction:
        # Go's clock wraps around below its first second.
        seconds, fraction = (seconds - 1 if seconds > INT64[0] else INT64[-1]), 10**9 - fraction
    return seconds * 10**9 + fraction
