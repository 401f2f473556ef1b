"""What is no archive is called by its name, and told what to do about."""

from __future__ import annotations

import gzip
import lzma
from pathlib import Path

import pytest

import occy_fast
from occy_fast.errors import OccyError, TarChecksumError, TarError, UnsupportedFormat
from occy_fast.streams.foreign import foreign
from support.image_builders import archive_members, make_image, make_tar
from support.piping import piped

SAVED = make_tar(archive_members([make_image("a")]))


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"\r\n <!DOCTYPE html><p>sign in", "a web page or XML document"),
        (b"\xef\xbb\xbf<HTML>", "a web page or XML document"),
        (b'{"errors":[]}', "a JSON document"),
        (b'{"version":1,"image-config":{"Cmd":[]},"layers":[]}', "a JSON document of nix2container"),
        (b"PK\x03\x04rest\x00", "a zip file"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7z file"),
        (b"!<arch>\ndebian-binary   ", "a Debian package or ar archive"),
        (b"#!/nix/store/x/bin/python\nstream\n", "a script"),
        (b"\xff\xfem\x00a\x00", "UTF-16 text"),
        (b"\xfe\xff\x00m\x00a", "UTF-16 text"),
        (b"\xef\xbb\xbf\x1f\xef\xbf\xbd\x08", "a file that was taken for text"),
        (b"\x1f\xef\xbf\xbd\x08\x00", "a file that was taken for text"),
        (b"nothing but words, in one line\n", "a text"),
        (b"\x89QNG\r\n\x1a\n\x00", ""),
        (b"version https://git-lfs.github.com/spec/v1\n", "a pointer that git-lfs has put in a file's place"),
        (b"", ""),
    ],
)
@pytest.mark.parametrize("more", [1, 100])
def test_what_is_mistaken_for_an_archive_is_called_by_its_name(
    tmp_path: Path, head: bytes, kind: str, more: int
) -> None:
    found = foreign(head)
    assert ("" if found is None else found.kind).startswith(kind)
    assert (found is None) == (not kind)
    (tmp_path / "a.tar").write_bytes(head * more if head else b"")
    with piped(tmp_path / "pipe", (tmp_path / "a.tar").read_bytes()) as pipe:
        for path in (tmp_path / "a.tar", pipe):
            with pytest.raises(OccyError) as caught:
                occy_fast.inspect(str(path))
            told = kind if head else "nothing came" if path == pipe else "an empty file"
            assert told in str(caught.value)
            assert found is None or found.remedy == caught.value.remedy
            assert isinstance(caught.value, UnsupportedFormat) == (told not in ("", "nothing came"))


def test_a_damaged_tar_is_no_document_whatever_its_first_member_is_called(tmp_path: Path) -> None:
    raw = bytearray(make_tar([("[app]", b"")]))
    raw[150] ^= 1
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(TarChecksumError):
        occy_fast.inspect(str(tmp_path / "a.tar"))


def test_a_tar_whose_first_name_looks_like_something_else_is_a_tar(tmp_path: Path) -> None:
    image = dict(archive_members([make_image()]))
    (tmp_path / "a.tar").write_bytes(make_tar([("{", b""), ("[", b""), ("<html>", b""), *image.items()]))
    assert occy_fast.inspect(str(tmp_path / "a.tar")).images


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("raw", [SAVED, gzip.compress(SAVED)], ids=["tar", "gzip"])
def test_an_archive_that_powershell_wrote_as_utf_16(tmp_path: Path, codec: str, raw: bytes) -> None:
    mark = {"utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}.get(codec, b"")
    (tmp_path / "a.tar").write_bytes(mark + raw.decode("latin-1").encode(codec))
    with pytest.raises(UnsupportedFormat, match="PowerShell") as caught:
        occy_fast.inspect(str(tmp_path / "a.tar"))
    assert "docker save -o" in str(caught.value.remedy)


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "marked"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["tar", "gzip"])
def test_an_archive_that_was_written_again_as_utf_8(tmp_path: Path, mark: bytes, pack: type[bytes]) -> None:
    layer = bytes(range(256)) * 64
    raw = pack(make_tar([("layer.bin", layer), *archive_members([make_image("a")])]))
    (tmp_path / "a.tar").write_bytes(mark + raw.decode("utf-8", "replace").encode())
    with pytest.raises(UnsupportedFormat, match="taken for text") as caught:
        occy_fast.inspect(str(tmp_path / "a.tar"))
    assert "docker save -o" in str(caught.value.remedy)


def test_a_tar_that_breaks_for_another_reason_is_not_blamed_on_text(tmp_path: Path) -> None:
    raw = bytearray(make_tar([("notes", "\u00e4\ufffd".encode() * 4), ("b", b"x"), ("c", b"y")]))
    raw[1024 + 150] ^= 1
    (tmp_path / "a.tar").write_bytes(raw)
    with pytest.raises(TarError):
        occy_fast.inspect(str(tmp_path / "a.tar"))


@pytest.mark.parametrize(("inner", "kind"), [(b"PK\x03\x04", "a zip file"), (b"<html>", "a web page")])
@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress])
def test_what_is_no_archive_inside_of_an_encoding(tmp_path: Path, inner: bytes, kind: str, pack: type[bytes]) -> None:
    (tmp_path / "a.tgz").write_bytes(pack(inner * 300))
    with pytest.raises(UnsupportedFormat, match=kind):
        occy_fast.inspect(str(tmp_path / "a.tgz"))


def test_an_archive_that_is_compressed_twice(tmp_path: Path) -> None:
    (tmp_path / "a.tgz").write_bytes(gzip.compress(lzma.compress(SAVED)))
    with pytest.raises(UnsupportedFormat, match="xz inside of another encoding"):
        occy_fast.inspect(str(tmp_path / "a.tgz"))
