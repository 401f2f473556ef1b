"""Paths as unpackers take them apart."""

from __future__ import annotations

import pytest

from occy_fast.kernels.pure.unpack_paths import cleaned, inside, parts_of


@pytest.mark.parametrize(
    ("path", "parts", "within", "clean"),
    [
        (b"", [], [], b""),
        (b"/", [], [], b"/"),
        (b"./a//b/", [b"a", b"b"], [b"a", b"b"], b"a/b"),
        (b"a/../b", [b"a", b"..", b"b"], [b"b"], b"b"),
        (b"../../a", [b"..", b"..", b"a"], [b"a"], b"a"),
        (b"/a/..", [b"a", b".."], [], b"/"),
    ],
)
def test_a_path_is_taken_apart(path: bytes, parts: list[bytes], within: list[bytes], clean: bytes) -> None:
    assert (parts_of(path), inside(path), cleaned(path)) == (parts, within, clean)
