"""What the public functions return: the JSON that the command prints, a repr of one line, and whether all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast import schema
from occy_fast.cli import main
from occy_fast.errors import UnsupportedFormat
from occy_fast.spec.digest import Digest
from occy_fast.targets.catalog import all_targets, find_target, targets_document
from support.image_builders import archive_members, docker_archive, make_image, make_tar, oci_layout, sha256


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    image = make_image("one", "two", codec=["none", "gzip"], names=["app:1"])
    return docker_archive(tmp_path / "app.tar", [image])


def printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    main([*arguments, "--json"])
    document: dict[str, Any] = json.loads(capsys.readouterr().out)
    return document


def damaged(archive: Path) -> str:
    """Return a copy of *archive* with another layer than the config names."""
    members = [(name, data.replace(b"one", b"eno")) for name, data in archive_members([make_image("one")])]
    (archive.parent / "bad.tar").write_bytes(make_tar(members))
    return "bad.tar"


FORMS: dict[str, tuple[list[str], Callable[[], Any]]] = {
    "inspect": (["inspect", "app.tar"], lambda: occy_fast.inspect("app.tar")),
    "verify": (["verify", "app.tar"], lambda: occy_fast.verify("app.tar")),
    "bad": (["verify", "bad.tar"], lambda: occy_fast.verify("bad.tar")),
    "check": (
        ["check", "app.tar", "-t", "docker-20.10.24", "-t", "k3s"],
        lambda: occy_fast.check("app.tar", ["docker-20.10.24", "k3s"]),
    ),
    "plan": (
        ["convert", "app.tar", "oci:out:app", "-c", "zstd", "--dry-run"],
        lambda: occy_fast.plan("app.tar", "oci:out:app", encoding="zstd"),
    ),
    "stream plan": (
        ["convert", "docker-archive:-", "oci:out:app", "--dry-run"],
        lambda: occy_fast.plan("docker-archive:-", "oci:out:app"),
    ),
    "convert": (
        ["convert", "app.tar", "oci-archive:out.tar", "-c", "gzip:2"],
        lambda: occy_fast.convert("app.tar", "oci-archive:out.tar", encoding="gzip:2"),
    ),
}


@pytest.mark.parametrize("form", FORMS)
def test_to_json_is_what_the_command_prints(archive: Path, form: str, capsys: pytest.CaptureFixture[str]) -> None:
    damaged(archive)
    arguments, call = FORMS[form]
    ours = call().to_json()
    Path("out.tar").unlink(missing_ok=True)
    theirs = printed(capsys, *arguments)
    assert json.loads(json.dumps(ours)) == ours             # plain values, nothing that JSON would change
    for document in (ours, theirs):                          # what differs from run to run
        assert document.pop("seconds", 0.0) >= 0
        document.pop("bytes_free", None)
    assert list(ours) == list(theirs)
    assert ours == theirs


def test_targets_are_listed_as_the_command_does(capsys: pytest.CaptureFixture[str]) -> None:
    assert targets_document(all_targets()) == printed(capsys, "targets")
    shown = printed(capsys, "targets", "docker-20.10.24")
    assert [find_target("docker-20.10.24").to_json()] == shown["targets"]
    assert shown["targets"][0]["versions"] == "20.10 to before 23.0"


def test_every_form_has_one_version_and_is_made_in_one_place() -> None:
    modules = Path(occy_fast.__file__).parent.rglob("*.py")
    source = "\n".join(path.read_text() for path in modules if path.name != "schema.py")
    made = re.findall(r'"schema": ([^,}]+)', source)
    assert sorted(made) == sorted(f"schema.{name}" for name in vars(schema) if name.isupper())


def test_a_repr_is_one_short_line(archive: Path) -> None:
    report = occy_fast.verify("app.tar")
    assert re.fullmatch(r"VerifyReport\(app\.tar: 1 image, 2 layers, [0-9.]+ kB: everything holds\)", repr(report))
    bad = occy_fast.verify(damaged(archive))
    assert repr(bad).endswith(f": {len(bad.errors)} error{'s' * (len(bad.errors) > 1)})")
    checked = occy_fast.check("app.tar", ["docker-20.10.24", "k3s"])
    counts = r"\d+ errors?, \d+ warnings?"
    assert re.fullmatch(rf"CheckReport\(app\.tar for docker-20\.10\.24, k3s: {counts}\)", repr(checked))
    assert repr(occy_fast.inspect("app.tar")) == "InspectReport(app.tar, docker-archive, 1 image)"
    plan = occy_fast.plan("app.tar", "oci:out:app", encoding="zstd")
    assert repr(plan) == "Plan(app.tar -> oci:out:app, 1 image: 1 none -> zstd:3, 1 gzip -> zstd:3)"
    rules = occy_fast.plan("-", "oci:out:app", encoding="gzip")
    assert repr(rules).startswith("StreamPlan(- -> oci:out:app: recode none, copy gzip, ")
    done = occy_fast.execute(plan)
    numbers = r"[0-9.]+ k?B -> [0-9.]+ k?B, [0-9.]+ s"
    assert re.fullmatch(rf"ConvertResult\({re.escape(done.digest.short)} 2 layers, {numbers}\)", repr(done))
    with occy_fast.open_image("oci:out:app") as contents:
        assert repr(contents) == "Contents(oci:out:app, oci, 1 image)"
        image = contents.images[0].root
        assert isinstance(image, occy_fast.Image)
        assert repr(image) == f"Image({done.digest.short} linux/amd64, 2 layers)"
        assert re.fullmatch(r"Layer\(sha256:[0-9a-f]{12} zstd, [0-9.]+ k?B\)", repr(image.layers[0]))


def test_a_repr_holds_nothing_that_a_terminal_obeys(tmp_path: Path) -> None:
    platform = occy_fast.Platform("li\x1b[2Jnux", "amd\n64", None, None, ("win\x9b32k",))
    assert repr(platform) == r"Platform(li\x1b[2Jnux/amd\x0a64, win\x9b32k)"
    assert repr(occy_fast.Contents("a\x1bb", "oci", ())) == r"Contents(a\x1bb, oci, 0 images)"
    assert repr(occy_fast.Encoding("\x1b")) == r"Encoding(\x1b)"


def test_recompress_returns_a_result_like_the_others(tmp_path: Path) -> None:
    tar = make_tar([("a", b"text" * 1000)])
    result = occy_fast.recompress(tar, tmp_path / "out", "gzip:1")
    assert result == occy_fast.recompress(tar, None, "gzip:1")
    assert result.digest == "sha256:" + sha256((tmp_path / "out").read_bytes())
    document = json.loads(json.dumps(result.to_json()))
    assert document == result.to_json()
    assert (document["diff_id"], document["bytes_tar"]) == ("sha256:" + sha256(tar), len(tar))
    assert document["encoder"].startswith("gzip:1 by ")
    numbers = r"[0-9.]+ k?B -> [0-9.]+ k?B, [0-9.]+ s"
    assert re.fullmatch(rf"RecompressResult\({re.escape(result.digest.short)} {numbers}\)", repr(result))


def test_ok_is_what_the_exit_code_says(archive: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert occy_fast.verify("app.tar").ok
    assert main(["verify", "app.tar"]) == 0
    bad = damaged(archive)
    assert not occy_fast.verify(bad).ok
    assert main(["verify", bad]) == 4
    good = occy_fast.check("app.tar", ["docker-29.0"])
    assert good.ok == (main(["check", "app.tar", "-t", "docker-29.0"]) == 0)
    assert good.ok
    assert not occy_fast.CheckReport("a", ("k3s",), (), unread=UnsupportedFormat("a", "nothing that is known")).ok


def test_an_index_whose_child_is_missing_is_ok_and_says_so(tmp_path: Path) -> None:
    """Layouts with one platform of an index are common: a warning, for verify as for its exit code."""
    images = [make_image("one", arch, architecture=arch) for arch in ("amd64", "arm64")]
    layout = oci_layout(tmp_path / "in", images, ["app"], nested=True)
    (layout / "blobs" / "sha256" / sha256(images[1].manifest)).unlink()
    report = occy_fast.verify(f"oci:{layout}")
    assert report.ok
    assert [finding.severity for finding in report.findings] == ["warning"]


def test_a_digest_is_found_by_its_text(archive: Path) -> None:
    """What comes out of a result is looked up in what a script has read, and the other way round."""
    result = occy_fast.convert("app.tar", "oci:out:app", encoding="zstd:3")
    known = {str(result.digest): "text"}
    assert known[result.digest] == "text"
    assert {result.digest: "value"}[str(result.digest)] == "value"
    assert Digest.parse(str(result.digest)) == result.digest
