"""What cannot be unpacked, as verify and check tell it."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from occy_fast import check, verify
from support.unpack_layers import BASE, BY_HAND, Entry, Layer, archive_of, file, hard, symbolic

DOCKER, CONTAINERD, PODMAN = "docker-20.10", "docker-25-containerd", "podman-4.3"


def refusing(path: Path) -> set[str]:
    report = check(f"docker-archive:{path}", [DOCKER, "docker-25-graphdriver", CONTAINERD, PODMAN], deep=True)
    return {finding.target for finding in report.errors if finding.rule.startswith("unpack-")}


@pytest.mark.parametrize(
    ("layer", "targets"),
    [
        ((Entry("/", b"1", "."), symbolic("link", "nowhere")), {DOCKER, "docker-25-graphdriver", PODMAN}),
        ((hard("usr/a", "usr/none"),), {DOCKER, "docker-25-graphdriver", CONTAINERD, PODMAN}),
        ((file(".wh.d"), file("d/.wh.f")), {DOCKER, "docker-25-graphdriver", CONTAINERD}),
        ((file("a"), file("a")), {DOCKER, "docker-25-graphdriver", PODMAN}),
        ((file("a", "com.apple.x"),), {"docker-25-graphdriver"}),
        (BY_HAND["plain"], set()),
        (BY_HAND["whiteout"], set()),
        (BY_HAND["child-of-symlink"], set()),
    ],
)
def test_check_names_who_refuses_a_layer(tmp_path: Path, layer: Layer, targets: set[str]) -> None:
    path = archive_of((BASE, layer), "x:1", tmp_path / "a.tar")
    assert refusing(path) == targets


def test_without_deep_no_layer_is_read(tmp_path: Path) -> None:
    path = archive_of((BASE, BY_HAND["hard-link-missing"]), "x:1", tmp_path / "a.tar")
    assert check(f"docker-archive:{path}", [DOCKER]).ok


def test_the_place_and_the_words_are_told(tmp_path: Path) -> None:
    path = archive_of((BASE, (hard("a\n", "none"),)), "x:1", tmp_path / "a.tar")
    (finding,) = check(f"docker-archive:{path}", [DOCKER], deep=True).errors
    assert finding.place == "layer 2"
    assert finding.problem == "'a\\x0a' is a hard link to 'none', which is not there, or not yet"
    assert finding.says == "link /none /a\\x0a: no such file or directory"
    assert finding.sources == ("tested",)
    assert finding.fix is None


def test_who_was_never_seen_unpacking_is_unknown(tmp_path: Path) -> None:
    path = archive_of((BASE, BY_HAND["hard-link-missing"]), "x:1", tmp_path / "a.tar")
    report = check(f"docker-archive:{path}", ["docker-29"], deep=True)
    assert "unpack-hard-link-missing" in {finding.rule for finding in report.unknown}


@pytest.mark.parametrize(
    ("name", "severities"),
    [("hard-link-missing", ["error"]), ("duplicate", ["warning"]), ("plain", []), ("xattr-unknown", ["warning"])],
)
def test_verify_tells_as_well(tmp_path: Path, name: str, severities: list[str]) -> None:
    path = archive_of((BASE, BY_HAND[name]), "x:1", tmp_path / "a.tar")
    assert [finding.severity for finding in verify(f"docker-archive:{path}").findings] == severities


def test_a_stream_is_looked_at_like_a_file(tmp_path: Path) -> None:
    raw = archive_of((BASE, BY_HAND["hard-link-lower"]), "x:1", tmp_path / "a.tar").read_bytes()
    path = tmp_path / "a.tar.gz"
    path.write_bytes(gzip.compress(raw))
    assert refusing(path) == {DOCKER, "docker-25-graphdriver", CONTAINERD, PODMAN}


def test_more_entries_than_the_limit_are_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OCCY_FAST_MAX_ENTRY_COUNT", "5")
    path = archive_of((BASE, BY_HAND["hard-link-missing"]), "x:1", tmp_path / "a.tar")
    report = check(f"docker-archive:{path}", [DOCKER], deep=True)
    assert [finding.rule for finding in report.unknown] == ["unpack-unknown"]
