"""Prove that an installed wheel works: its kernels are native, its codecs pinned, its bytes right."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile

import occy_fast


def small_tar() -> bytes:
    """Return a tar with one file, the same every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        content = bytes(range(256)) * 8192
        entry = tarfile.TarInfo("etc/table")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def main() -> None:
    """Recompress one layer and check both digests."""
    build = occy_fast.build_info()
    print(build)
    assert build.kernels == "native", build
    assert {codec.origin for codec in build.codecs} == {"pinned"}, build
    tar = small_tar()
    for encoding in ("gzip:1", "zstd:3"):
        out = io.BytesIO()
        outcome = occy_fast.recompress(tar, out, encoding=encoding)
        assert str(outcome.diff_id) == "sha256:" + hashlib.sha256(tar).hexdigest()
        assert str(outcome.digest) == "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
        if encoding == "gzip:1":
            assert gzip.decompress(out.getvalue()) == tar
    print("ok")


if __name__ == "__main__":
    main()
