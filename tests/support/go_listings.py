"""How listings made with Go's archive/tar write texts, times and errors."""

from __future__ import annotations

import hashlib


def octets(text: str | dict[str, str]) -> bytes:
    return bytes.fromhex(text["hex"]) if isinstance(text, dict) else text.encode()


def same_text(text: bytes, seen: str | dict[str, str]) -> bool:
    """Tell whether *text* is what a listing has, which holds the digests of long ones only."""
    if isinstance(seen, dict) and "sha256" in seen:
        return hashlib.sha256(text).hexdigest() == seen["sha256"]
    return text == octets(seen)


def nanoseconds(time: str) -> int:
    seconds, _, fraction = time.partition(".")
    return int(seconds) * 10**9 + int(fraction or 0)


# What Go's errors are here: an unexpected end, a limit, and everything else.
GO_ERRORS = {
    "unexpected EOF": "TarTruncated",
    "archive/tar: header field too long": "TarLimitError",
    "archive/tar: sparse map too long": "TarLimitError",
}


def agrees(error: Exception | None, go_error: str | None) -> bool:
    """Tell whether *error* is what Go calls *go_error*."""
    if error is None or go_error is None:
        return (error is None) == (go_error is None)
    kind = type(error).__name__
    wanted = GO_ERRORS.get(go_error)
    return kind == wanted if wanted else kind not in GO_ERRORS.values()
