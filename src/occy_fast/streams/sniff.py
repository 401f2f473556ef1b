"""Recognise an encoding by its first bytes."""

from __future__ import annotations

from typing import Final

from occy_fast.spec.encoding import CODECS, Encoding

SNIFF_SIZE: Final = 512
"""How many first bytes `sniff` looks at, at most; fewer will do where there are no more."""

_MAGICS = {magic: Encoding(codec.name) for codec in CODECS.values() for magic in codec.magics}
_ANY_MAGIC = tuple(_MAGICS)
_ZSTD = CODECS["zstd"].magics
_SKIPPABLE = b"\x2a\x4d\x18"


def sniff(head: bytes) -> Encoding:
    """Tell how a stream is encoded whose first bytes are *head*; what has no known magic is ``none``."""
    head = bytes(head[:SNIFF_SIZE])
    if head.startswith(_ANY_MAGIC):
        return next(encoding for magic, encoding in _MAGICS.items() if head.startswith(magic))
    return Encoding("zstd" if _is_zstd(head) else "none")


def begins_skippable(head: bytes) -> bool:
    """Tell whether *head* begins a zstd frame that decoders skip.  (RFC 8878 §3.1.2)"""
    return head[1:4] == _SKIPPABLE and head[0] & 0xF0 == 0x50


def may_be_json(head: bytes) -> bool:
    """Tell whether a JSON object, a list or null may begin with *head*: what documents are.  (RFC 8259 §2)"""
    begin = head.lstrip(b" \t\r\n")
    return begin[:1] in (b"{", b"[", b"n") or (head != b"" and not begin)


def ends_in_magic(stream: bytes) -> bool:
    """Tell whether a whole *stream* is so short that it may be the beginning of an encoding's magic; empty is that."""
    return any(len(stream) < len(magic) and magic.startswith(stream) for magic in _MAGICS)


def _is_zstd(head: bytes) -> bool:
    """Tell whether *head* is zstd, past the skippable frames that may come first.  (RFC 8878 §3.1)"""
    position = 0
    while begins_skippable(head[position:]):
        position += 8 + int.from_bytes(head[position + 4 : position + 8], "little")
        if position >= len(head):
            return True  # no other encoding of layers begins with a skippable frame
    return head.startswith(_ZSTD, position)
