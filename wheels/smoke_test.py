"""Prove that an installed wheel works: its kernels are native, its codecs pinned, its bytes right."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from importlib.metadata import files

import occy_fast
from occy_fast.targets.catalog import find_target


def small_tar() -> bytes:
    """Return a tar with one file, the same every time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        content = bytes(range(256)) * 8192
        entry = tarfile.TarInfo("etc/table")
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def told_materials() -> dict[str, str]:
    """Return name and version of every part that the installed bill of materials names."""
    [bill] = [path for path in files("occy_fast") or () if path.match("*.dist-info/sboms/*.cdx.json")]
    return {part["name"].lower(): part.get("version", "") for part in json.loads(bill.read_text())["components"]}


def main() -> None:
    """Recompress one layer and check both digests, what the wheel tells of itself, and the data in it."""
    build = occy_fast.build_info()
    print(build)
    assert build.kernels == "native", build
    assert {codec.origin for codec in build.codecs} == {"pinned"}, build
    told = told_materials()
    released = {codec.name: codec.version.partition("+")[0] for codec in build.codecs}  # what is behind it is our edit
    assert released.items() <= told.items(), (build, told)
    tar = small_tar()
    for encoding in ("gzip:1", "zstd:3"):
        out = io.BytesIO()
        outcome = occy_fast.recompress(tar, out, encoding=encoding)
        assert str(outcome.diff_id) == "sha256:" + hashlib.sha256(tar).hexdigest()
        assert str(outcome.digest) == "sha256:" + hashlib.sha256(out.getvalue()).hexdigest()
        if encoding == "gzip:1":
            assert gzip.decompress(out.getvalue()) == tar
    assert find_target("docker-20.10.24").refuses("load.docker_archive_zstd"), "the targets are not in the wheel"
    print("ok")


if __name__ == "__main__":
    main()
