"""Chains of v1 images and configs, against what dockerd 20.10.24 made of them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

from occy_fast.errors import BadManifest, DuplicateKey
from occy_fast.image.v1 import V1Document, chain_of_config, config_of_chain
from occy_fast.spec.digest import Digest
from occy_fast.spec.limits import LIMITS

LAYER = Digest.sha256(b"layer")
BARE = (
    '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
    '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":null,"Cmd":null,"Image":"","Volumes":null,"WorkingDir":"",'
    '"Entrypoint":null,"OnBuild":null,"Labels":null}'
)
HISTORY = '"history":[{"created":"0001-01-01T00:00:00Z"}]'
ROOTFS = f'"rootfs":{{"type":"layers","diff_ids":["{LAYER}"]}}'


def config_of(text: str) -> str:
    document = V1Document.parse(text.encode(), "here", LIMITS)
    return config_of_chain(document, [document.history()], [LAYER]).decode()


def test_an_empty_image() -> None:
    assert config_of("{}") == (f'{{"container_config":{BARE},"created":"0001-01-01T00:00:00Z",{HISTORY},{ROOTFS}}}')


def test_an_image_of_a_recent_docker_stays_as_it_is_written() -> None:
    """Its members are sorted, and what is in them keeps order and spelling; Go escapes what HTML would act upon."""
    text = """
        { "os" : "linux", "docker_version":"1.8.3", "id":"x", "parent":"", "size" : 12, "parent_id":"p",
          "layer_id":"l","throwaway":true, "unknown":{ "b" : [ 1, -0, 1.50, 2E3, "\\u00e9\\/ <&> é\u2028" ] , "a":null},
          "<":{ }, "config":null }
    """
    assert config_of(text) == (
        '{"\\u003c":{},"config":null,"docker_version":"1.8.3",'
        f'{HISTORY},"os":"linux",{ROOTFS},"size":12,'
        '"unknown":{"b":[1,-0,1.50,2E3,"\\u00e9\\/ \\u003c\\u0026\\u003e é\\u2028"],"a":null}}'
    )


@pytest.mark.parametrize(
    ("version", "kept"),
    [
        ("", False),
        ("1", False),
        ("1.8", False),
        ("1.8.2", False),
        ("1.8.3", True),
        ("1.8.3.0", True),
        ("1.8.10", True),
        ("1.9", True),
        ("1.10.0-dev", True),
        ("1.8.3-rc1", False),
        ("17.03.0-ce", True),
        ("2", True),
        ("x", False),
        ("-1.9", False),
        ("+2", True),
        ("99999999999999999999999999", True),
    ],
)
def test_unknown_fields_are_kept_from_1_8_3_on(version: str, kept: bool) -> None:
    text = json.dumps({"docker_version": version, "unknown": 1})
    assert ('"unknown":1' in config_of(text)) == kept


def test_known_fields_are_written_anew_before() -> None:
    """Names in any case, null as nothing, in the order of Docker's structs, without what is empty."""
    text = """
        {"Created":"2014-01-01T5:00:00.120000000999+00:00","OS":"linux","Author":"","container":null,"variant":"v7",
         "config":{"cmd":"run <it>","ENTRYPOINT":[],"env":["A=1",null],"Volumes":{"/b":{"x":1},"/a":null},
                   "ExposedPorts":{},"Healthcheck":{},"StopTimeout":0,"Shell":[],"Labels":{"b":null,"a":"1"},
                   "ArgsEscaped":false,"NetworkDisabled":true,"Tty":null,"Memory":5,"StopSignal":"\\u0007\\u001f\\n"},
         "container_config":{"Cmd":["/bin/sh","-c","step"],"Healthcheck":{"Retries":3,"test":["NONE"],"Interval":0}}}
    """
    command = '"Cmd":["/bin/sh","-c","step"],"Healthcheck":{"Test":["NONE"],"Retries":3},'
    container = BARE.replace('"Cmd":null,', command)
    config = (
        '{"Hostname":"","Domainname":"","User":"","AttachStdin":false,"AttachStdout":false,"AttachStderr":false,'
        '"Tty":false,"OpenStdin":false,"StdinOnce":false,"Env":["A=1",""],"Cmd":["run \\u003cit\\u003e"],'
        '"Healthcheck":{},"Image":"","Volumes":{"/a":{},"/b":{}},"WorkingDir":"","Entrypoint":[],'
        '"NetworkDisabled":true,"OnBuild":null,"Labels":{"a":"1","b":""},"StopSignal":"\\u0007\\u001f\\n",'
        '"StopTimeout":0}'
    )
    assert config_of(text) == (
        f'{{"config":{config},"container_config":{container},"created":"2014-01-01T05:00:00.12Z",'
        '"history":[{"created":"2014-01-01T05:00:00.12Z","created_by":"/bin/sh -c step"}],'
        f'"os":"linux",{ROOTFS},"variant":"v7"}}'
    )


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("2014-01-01T00:00:00Z", "2014-01-01T00:00:00Z"),
        ("2014-01-01T00:00:00.5Z", "2014-01-01T00:00:00.5Z"),
        ("2014-01-01T00:00:00.500Z", "2014-01-01T00:00:00.5Z"),
        ("2014-01-01T00:00:00.000Z", "2014-01-01T00:00:00Z"),
        ("2014-01-01T00:00:00.123456789Z", "2014-01-01T00:00:00.123456789Z"),
        ("2014-01-01T00:00:00.1234567899Z", "2014-01-01T00:00:00.123456789Z"),
        ("2014-01-01T00:00:00,25Z", "2014-01-01T00:00:00.25Z"),
        ("2014-01-01T00:00:00+02:00", "2014-01-01T00:00:00+02:00"),
        ("2014-01-01T00:00:00.10-07:30", "2014-01-01T00:00:00.1-07:30"),
        ("2014-01-01T00:00:00-00:00", "2014-01-01T00:00:00Z"),
        ("0000-02-29T00:00:00Z", "0000-02-29T00:00:00Z"),
        (None, "0001-01-01T00:00:00Z"),
    ],
)
def test_times_are_written_as_go_writes_them(written: str | None, normal: str) -> None:
    assert f'"created":"{normal}"' in config_of(json.dumps({"created": written}))


@pytest.mark.parametrize(
    "document",
    [
        {"created": "2014-02-29T00:00:00Z"},
        {"created": "2014-01-01T24:00:00Z"},
        {"created": "2014-01-01T00:00:60Z"},
        {"created": "2014-01-01 00:00:00Z"},
        {"created": "2014-01-01T00:00:00"},
        {"created": "2014-13-01T00:00:00Z"},
        {"created": 5},
        {"parent": 5},
        {"Size": 1.0},
        {"Size": True},
        {"Size": "1"},
        {"config": []},
        {"config": {"Tty": 1}},
        {"config": {"Env": "A=1"}},
        {"config": {"Env": [1]}},
        {"config": {"Cmd": {}}},
        {"config": {"Cmd": [["a"]]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"Labels": []}},
        {"config": {"Volumes": {"/a": 1}}},
        {"config": {"Healthcheck": {"Interval": 1.5}}},
        {"config": {"StopTimeout": "1"}},
        {"docker_version": "1.9.0", "container_config": {"Cmd": 1}},
        [],
        None,
    ],
)
def test_what_go_cannot_decode_is_refused(document: object) -> None:
    with pytest.raises(BadManifest, match="here"):
        V1Document.parse(json.dumps(document).encode(), "here", LIMITS)


def test_two_spellings_of_a_field_are_refused() -> None:
    with pytest.raises(DuplicateKey):
        V1Document.parse(b'{"os":"linux","OS":"windows"}', "here", LIMITS)


def test_the_ids_of_a_single_layer() -> None:
    """`parent` and `id` of a config count for nothing, Size does; nothing else is told of the layers below."""
    [layer] = chain_of_config(b'{"os":"linux","parent":"x","id":"y","Size":7,"rootfs":{}}', [LAYER])
    assert layer.json.decode() == (
        f'{{"id":"{layer.id}","created":"0001-01-01T00:00:00Z","container_config":{BARE},"os":"linux","Size":7}}'
    )
    text = f'{{"Size":7,"container_config":{BARE},"created":"0001-01-01T00:00:00Z","layer_id":"{LAYER}","os":"linux"}}'
    assert layer.id == Digest.sha256(text.encode()).hex
    below, top = chain_of_config(b'{"os":"linux","Size":7}', [LAYER, LAYER])
    assert below.json.decode() == (
        f'{{"id":"{below.id}","created":"1970-01-01T00:00:00Z","container_config":{BARE},"os":"linux"}}'
    )
    assert top.json.decode().startswith(f'{{"id":"{top.id}","parent":"{below.id}","created"')
    assert chain_of_config(b'{"os":"linux","author":"other"}', [LAYER, LAYER])[0].id == below.id
    assert chain_of_config(b"{}", []) == ()


@pytest.mark.parametrize(
    "name",
    [
        "fixtures/docker-20.10.24-save.tar",
        *(f"oracles/docker-save/docker20.10.24-{name}.tar" for name in ("dup", "gz", "multitag", "simple", "untagged")),
    ],
)
def test_ids_and_documents_are_those_of_dockerd(shared: Path, name: str) -> None:
    with tarfile.open(shared / name) as tar:
        members = {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}
    for item in json.loads(members["manifest.json"]):
        raw = members[item["Config"]]
        diff_ids = [Digest.parse(text, name) for text in json.loads(raw)["rootfs"]["diff_ids"]]
        layers = chain_of_config(raw, diff_ids)
        assert [f"{layer.id}/layer.tar" for layer in layers] == item["Layers"]
        assert [layer.json for layer in layers] == [members[f"{layer.id}/json"] for layer in layers]
