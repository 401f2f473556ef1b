from __future__ import annotations

import json
import pickle
import tarfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from occy_fast.errors import BadDigest, BadJSON, BadManifest, ConfigTooLarge, DuplicateKey, IntegrityError, OccyError
from occy_fast.spec.config import History, ImageConfig
from occy_fast.spec.digest import Digest
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.spec.platform import Platform

ONE, TWO, THREE = (Digest.sha256(seed) for seed in (b"1", b"2", b"3"))
CONFIG: dict[str, Any] = {
    "architecture": "arm64",
    "variant": "v8",
    "os": "linux",
    "created": "2015-10-31T22:22:56.015925234Z",
    "config": {"User": "1:1", "Env": ["A=b"], "Labels": {"A": "1", "a": "2"}, "Volumes": {"/v": {}}, "Cmd": ["sh"]},
    "rootfs": {"type": "layers", "diff_ids": [str(ONE), str(TWO)]},
    "history": [
        {"created": "2015-10-31T22:22:54Z", "created_by": "ADD x"},
        {"created_by": "CMD sh", "empty_layer": True},
        {"comment": "c", "author": "a"},
    ],
    "x-unknown": {"kept": [1, 2.5]},
}

texts = st.text("abc:/. é", max_size=8)
times = st.datetimes().map(lambda time: f"{time.isoformat()}Z")
histories = st.builds(History, st.none() | times, *[st.none() | texts] * 3, st.booleans())


def config(**changes: Any) -> bytes:
    return format_json(CONFIG | changes)


@given(st.lists(st.binary().map(Digest.sha256)), st.lists(histories), texts.filter(bool), texts.filter(bool))
def test_round_trip(diff_ids: list[Digest], history: list[History], os: str, architecture: str) -> None:
    document = {
        "os": os,
        "architecture": architecture,
        "rootfs": {"type": "layers", "diff_ids": [str(digest) for digest in diff_ids]},
        "history": [{name: getattr(entry, name) for name in History.__slots__} for entry in history],
    }
    raw = format_json(document)
    parsed = ImageConfig.parse(raw, "here", LIMITS)
    assert parsed.diff_ids == tuple(diff_ids)
    assert parsed.history == tuple(history)
    assert (parsed.os, parsed.architecture) == (os, architecture)
    assert format_json(parsed.document()) == parsed.raw == raw
    again = pickle.loads(pickle.dumps(parsed))
    assert again == parsed
    assert len({again, parsed}) == 1


def test_all_fields() -> None:
    parsed = ImageConfig.parse(config(), "here", LIMITS)
    assert parsed.platform == Platform("linux", "arm64", "v8")
    assert parsed.created == "2015-10-31T22:22:56.015925234Z"
    assert parsed.diff_ids == (ONE, TWO)
    assert [entry.empty_layer for entry in parsed.history] == [False, True, False]
    assert parsed.history[2] == History(author="a", comment="c")
    assert parsed.env == ("A=b",)
    assert parsed.document()["x-unknown"] == {"kept": [1, 2.5]}
    assert parsed.digest == Digest.sha256(parsed.raw)


def test_windows() -> None:
    raw = config(**{"os": "windows", "variant": None, "os.version": "10.0.17763", "os.features": ["win32k"]})
    parsed = ImageConfig.parse(raw, "here", LIMITS)
    assert parsed.platform == Platform("windows", "arm64", None, "10.0.17763", ("win32k",))


def test_what_may_be_absent() -> None:
    parsed = ImageConfig.parse(b'{"rootfs":{}}', "here", LIMITS)
    assert (parsed.os, parsed.architecture, parsed.variant, parsed.created) == ("", "", None, None)
    assert (parsed.diff_ids, parsed.history, parsed.rootfs_type, parsed.env) == ((), (), "", ())


@pytest.mark.parametrize("key", ["architecture", "os", "variant", "created", "config", "history"])
def test_null_is_nothing(key: str) -> None:
    document = {name: value for name, value in CONFIG.items() if name != key}
    both = (document, document | {key: None})
    absent, null = (ImageConfig.parse(format_json(fields), "here", LIMITS) for fields in both)
    for name in set(ImageConfig.__slots__) - {"raw"}:
        assert getattr(absent, name) == getattr(null, name)


def test_no_diff_ids_may_be_null() -> None:
    assert ImageConfig.parse(config(rootfs={"type": "layers", "diff_ids": None}), "here", LIMITS).diff_ids == ()


REFUSED: list[tuple[bytes, type[OccyError], str]] = [
    (b"[]", BadManifest, "no JSON object"),
    (b"x", BadJSON, "here"),
    (b'{"os":"a","os":"b"}', DuplicateKey, "'os'"),
    (config(OS="x"), DuplicateKey, "'OS'"),
    (config(RootFS={}), DuplicateKey, "'RootFS'"),
    (b'{"RootFS":{}}', BadManifest, "'RootFS'"),
    (config(rootfs={"Diff_IDs": []}), BadManifest, "'Diff_IDs'"),
    (config(rootfs=None), BadManifest, "no rootfs"),
    (b"{}", BadManifest, "no rootfs"),
    (config(rootfs=[]), BadManifest, "$.rootfs"),
    (config(rootfs={"diff_ids": [1]}), BadManifest, "$.rootfs.diff_ids[0]"),
    (config(rootfs={"diff_ids": [str(ONE), "x"]}), BadDigest, "$.rootfs.diff_ids[1]"),
    (config(history={}), BadManifest, "$.history"),
    (config(history=[{"empty_layer": "yes"}]), BadManifest, "$.history[0].empty_layer"),
    (config(os=1), BadManifest, "$.os"),
    (config(created="yesterday"), BadManifest, "$.created is 'yesterday', and should be a time as in 2006"),
    (config(created=""), BadManifest, "$.created is ''"),
    (config(created="2015-13-01T00:00:00Z"), BadManifest, "a time that there is"),
    (config(history=[{}, {"created": "2015-10-31"}]), BadManifest, "$.history[1].created"),
    (config(config={"Env": "A=b"}), BadManifest, "$.config.Env"),
    (config(config={"Labels": ["a"]}), BadManifest, "$.config.Labels"),
    (config(config={"ExposedPorts": ["80"]}), BadManifest, "$.config.ExposedPorts"),
]


@pytest.mark.parametrize(("raw", "error", "words"), REFUSED, ids=range(len(REFUSED)))
def test_refused(raw: bytes, error: type[OccyError], words: str) -> None:
    with pytest.raises(error) as caught:
        ImageConfig.parse(raw, "here", LIMITS)
    assert words in str(caught.value)
    assert caught.value.where.startswith("here")


def test_size() -> None:
    raw = config()
    ImageConfig.parse(raw, "here", Limits(config=len(raw)))
    with pytest.raises(ConfigTooLarge) as caught:
        ImageConfig.parse(raw, "here", Limits(config=len(raw) - 1))
    assert (caught.value.allowed, caught.value.value) == (len(raw) - 1, len(raw))


def test_vectors_of_the_image_spec(shared: Path) -> None:
    cases = json.loads((shared / "corpus/vectors/image-spec-schema.json").read_text())["cases"]
    wrong, count = [], 0
    for case in cases:
        if case["field"] != "config":
            continue
        count += 1
        try:
            ImageConfig.parse(case["json"].encode(), "here", LIMITS)
            failed = False
        except IntegrityError:
            failed = True
        if case["comment"] == "expected failure: Env is invalid":
            # an entry without "=" runs everywhere; `validate` warns of it
            assert not failed
        elif failed != case["must_fail"]:
            wrong.append((case, failed))
    assert wrong == []
    assert count == 10


def test_configs_of_real_daemons(shared: Path) -> None:
    archives = sorted((shared / "fixtures").glob("*.tar"))
    images = 0
    for path in archives:
        with tarfile.open(path) as archive:
            members = {member.name: member for member in archive if member.isfile()}
            if "manifest.json" not in members:
                continue
            for entry in json.load(archive.extractfile(members["manifest.json"])):  # type: ignore[arg-type]
                raw = archive.extractfile(members[entry["Config"]]).read()  # type: ignore[union-attr]
                parsed = ImageConfig.parse(raw, path.name, LIMITS)
                assert parsed.digest.hex in entry["Config"]
                assert len(parsed.diff_ids) == len(entry["Layers"])
                assert sum(not step.empty_layer for step in parsed.history) == len(parsed.diff_ids)
                assert str(parsed.platform).startswith("linux/")
                images += 1
    assert images >= 4
