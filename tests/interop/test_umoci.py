"""umoci unpacks the layouts the library writes to the same files as those of skopeo."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from support.consumers import GREETING, Client, Saved, archive_images, layout_images, occy, run, unpack

pytestmark = [pytest.mark.interop, pytest.mark.skipif(os.geteuid() != 0, reason="unpacking keeps owners: needs root")]


def _files(root: Path) -> dict[str, tuple[int, int, int, bytes | str | None]]:
    found: dict[str, tuple[int, int, int, bytes | str | None]] = {}
    for path in sorted(root.rglob("*")):
        status = path.lstat()
        content: bytes | str | None = None
        if stat.S_ISLNK(status.st_mode):
            content = os.readlink(path)
        elif stat.S_ISREG(status.st_mode):
            content = path.read_bytes()
        found[str(path.relative_to(root))] = (status.st_mode, status.st_uid, status.st_gid, content)
    return found


@pytest.mark.parametrize("compression", ["none", "gzip:1", "gzip:2"])
def test_umoci_unpacks_the_same_files(
    umoci: Client, skopeo: Client, saved: Saved, tmp_path: Path, compression: str
) -> None:
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    occy("convert", "--compression", compression, f"docker-archive:{saved.path}", f"oci:{ours}:1")
    assert "1" in umoci("list", "--layout", ours).split()
    umoci("unpack", "--image", f"{ours}:1", tmp_path / "our-bundle")
    skopeo("copy", f"docker-archive:{saved.path}", f"oci:{theirs}:1")
    umoci("unpack", "--image", f"{theirs}:1", tmp_path / "their-bundle")

    unpacked = _files(tmp_path / "our-bundle" / "rootfs")
    assert unpacked == _files(tmp_path / "their-bundle" / "rootfs")
    assert unpacked["srv/b"][3] == f"{GREETING}\n".encode()
    assert "srv/gone" not in unpacked


def test_umoci_unpacks_what_was_in_an_archive(umoci: Client, saved: Saved, tmp_path: Path) -> None:
    """It knows no archives, so tar takes ours apart, and packs what it wrote."""
    made, packed = tmp_path / "made.tar", tmp_path / "packed.tar"
    occy("convert", "--compression", "gzip", f"docker-archive:{saved.path}", f"oci-archive:{made}:1")
    layout = unpack(made, tmp_path / "layout")
    umoci("unpack", "--image", f"{layout}:1", tmp_path / "bundle")
    assert (tmp_path / "bundle" / "rootfs" / "srv" / "b").read_text() == f"{GREETING}\n"
    (tmp_path / "bundle" / "rootfs" / "srv" / "added").write_text("by umoci")
    umoci("repack", "--image", f"{layout}:2", tmp_path / "bundle")
    run("tar", "-C", layout, "-cf", packed, ".")
    occy("verify", str(packed))
    occy("convert", f"oci-archive:{packed}:2", f"docker-archive:{tmp_path}/back.tar")
    assert archive_images(tmp_path / "back.tar")[0][1].diff_ids[:-1] == saved.known.diff_ids


def test_what_umoci_wrote_is_read(umoci: Client, saved: Saved, tmp_path: Path) -> None:
    """umoci adds a layer of its own on top of ours; the result goes through zstd and back to what it was."""
    layout, bundle, after = tmp_path / "layout", tmp_path / "bundle", tmp_path / "after"
    occy("convert", "--compression", "gzip", f"docker-archive:{saved.path}", f"oci:{layout}:1")
    umoci("unpack", "--image", f"{layout}:1", bundle)
    (bundle / "rootfs" / "srv" / "added").write_text("by umoci")
    umoci("repack", "--image", f"{layout}:2", bundle)
    occy("verify", f"oci:{layout}:2")
    occy("convert", "--compression", "zstd", f"oci:{layout}:2", f"oci:{after}:2")
    [(manifest, known)] = layout_images(after)
    assert known.diff_ids[:-1] == saved.known.diff_ids
    assert all(layer["mediaType"].endswith("+zstd") for layer in manifest["layers"])
    umoci("gc", "--layout", layout)
    assert known in [found for _, found in layout_images(layout)]
