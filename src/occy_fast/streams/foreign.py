"""What people mistake for an archive, by its first bytes, and what to do about it."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from occy_fast.streams.sniff import SNIFF_SIZE, sniff

_LOOK: Final = "look at what was saved or downloaded"
_SAVE_TO_FILE: Final = "write it with docker save -o FILE IMAGE: PowerShell's > changes the bytes"


class Foreign(NamedTuple):
    """What a file is that is no archive, and what its reader can do."""

    kind: str
    remedy: str = _LOOK


_BY_MAGIC = {
    b"PK\x03\x04": Foreign("a zip file", "unzip it, and name the archive in it"),
    b"7z\xbc\xaf\x27\x1c": Foreign("a 7z file", "unpack it (7z x FILE), and name the archive in it"),
    b"Rar!": Foreign("a rar file", "unpack it, and name the archive in it"),
    b"\x7fELF": Foreign("a program"),
    b"MZ\x90\x00": Foreign("a program"),
    b"hsqs": Foreign("a squashfs file system"),
    b"QFI\xfb": Foreign("a disk image (qcow2)"),
    b"KDMV": Foreign("a disk image (vmdk)"),
    b"vhdxfile": Foreign("a disk image (vhdx)"),
    b"\x04\x22\x4d\x18": Foreign("an lz4 file", "decode it first: lz4 -d FILE image.tar"),
    b"\x1f\x9d": Foreign("a file of compress (.Z)", "decode it first: zcat FILE > image.tar"),
    b"!<arch>\n": Foreign("a Debian package or ar archive"),
    b"\xed\xab\xee\xdb": Foreign("an rpm package"),
    b"070701": Foreign("a cpio archive"),
    b"\x89PNG": Foreign("a picture"),
    b"%PDF": Foreign("a PDF document"),
    b"Salted__": Foreign("a file that openssl encrypted", "decrypt it first"),
    b"age-encryption.org": Foreign("a file that age encrypted", "decrypt it first"),
    b"-----BEGIN PGP": Foreign("a file that gpg encrypted or signed", "decrypt it first"),
    b"version https://git-lfs": Foreign(
        "a pointer that git-lfs has put in a file's place", "get the file itself: git lfs pull"
    ),
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_UTF_8_MARK: Final = b"\xef\xbb\xbf"
_REPLACED: Final = b"\xef\xbf\xbd"                   # what decoders of text put for bytes that are none
_NO_TEXT = re.compile(rb"[^\t\n\f\r\x20-\x7e\x80-\xff]")   # a header of any tar has zeros in it
_MANGLED: Final = Foreign("a file that was taken for text, which changed its bytes", _SAVE_TO_FILE)
_ENOUGH_REPLACED = 8


def foreign(head: bytes) -> Foreign | None:
    """Tell what a file is that begins with *head* and is no tar, as far as it is something people mistake for one."""
    head = bytes(head[:SNIFF_SIZE])
    if head[257:262] == b"ustar":                        # a tar that is damaged, whatever its first member is called
        return None
    if head.startswith(_UTF_16):
        return Foreign("UTF-16 text, as PowerShell's > writes what comes by", _SAVE_TO_FILE)
    if head.startswith((_UTF_8_MARK + b"\x1f", b"\x1f" + _REPLACED)) or head[260:265] == b"ustar":
        return _MANGLED
    if (codec := sniff(head).codec) != "none":           # of what was decoded already, or of something that is no whole
        return Foreign(f"{codec} inside of another encoding", "decode it once by itself, and name what comes")
    return next((kind for magic, kind in _BY_MAGIC.items() if head.startswith(magic)), None) or _text_kind(head)


def _text_kind(head: bytes) -> Foreign | None:
    text = head.lstrip(_UTF_8_MARK + b" \t\r\n").lower()
    if text.startswith((b"<!doctype", b"<html", b"<?xml")):
        return Foreign("a web page or XML document", "look at it: it is what a server or proxy said instead")
    if text.startswith((b"{", b"[")):
        if b'"image-config"' in text:
            return Foreign("a JSON document of nix2container", "nix run .#IMAGE.copyTo -- oci:DIR makes a layout of it")
        return Foreign("a JSON document")
    is_whole = b"\n" in head or len(head) >= SNIFF_SIZE    # a tar that is cut inside its first name has no zeros either
    if not is_whole or _NO_TEXT.search(head):
        return None
    if text.startswith(b"#!"):
        return Foreign("a script", "if it writes an image, as nix's do, pipe it: ./SCRIPT | occy-fast convert - DST")
    return Foreign("a text")


def mangled(before: bytes) -> Foreign | None:
    """Tell whether an archive was taken for text and written again, by the bytes *before* the place where it breaks."""
    return _MANGLED if before.count(_REPLACED) >= _ENOUGH_REPLACED else None
