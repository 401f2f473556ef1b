"""What is running is said as plain values; tests/test_build.py holds it against the build itself."""

from __future__ import annotations

from occy_fast.kernels.build import BuildInfo, CodecBuild


def test_json_is_plain() -> None:
    names = ("version", "kernels", "sha256", "architecture", "compiler", "abi", "python", "sanitized")
    words = dict.fromkeys(names, "x")
    info = BuildInfo(codecs=(CodecBuild("zstd", "1.5", "pinned"),), cpu=("avx2",), checked=False, **words)
    document = info.to_json()
    assert document["codecs"] == {"zstd": {"version": "1.5", "origin": "pinned"}}
    assert document["cpu"] == ["avx2"]
    assert set(document) == {*words, "codecs", "cpu", "checked"}
