"""What the steps answer of themselves."""

from __future__ import annotations

import pickle
from dataclasses import fields, is_dataclass, replace
from typing import Any, get_args

import pytest

from occy_fast.image.blob import FileRegion
from occy_fast.image.image import Layer
from occy_fast.planning.steps import Adopt, Copy, LayerStep, Recode, Skip
from occy_fast.spec.encoding import EncoderIdentity, Encoding
from support.contents import digest, image

ZSTD = Encoding("zstd", 3)
IDENTITY = EncoderIdentity("zstd", "libzstd", "1.5.7", 3, 2 << 20, "native-1")


def layer(name: str) -> Layer:
    (only,) = image(name).layers
    return only


def elsewhere(one: Layer) -> Layer:
    """Return the same layer in another place, under another media type and with words of its own."""
    blob = replace(one.blob, address=FileRegion("/elsewhere", 512, one.size, None), media_type="another")
    return replace(one, blob=blob, media_type="another", annotations=(("a", "b"),))


STEPS: tuple[LayerStep, ...] = (
    Skip(layer("a.gzip")),
    Skip(layer("a.gzip"), otherwise=Copy(layer("a.gzip"))),
    Adopt(layer("a.gzip"), "link"),
    Copy(layer("a.gzip")),
    Recode(layer("a.gzip"), ZSTD, IDENTITY),
)


@pytest.mark.parametrize("step", STEPS)
def test_the_same_content_is_the_same_work_wherever_it_is(step: LayerStep) -> None:
    moved = replace(step, layer=elsewhere(step.layer))
    assert moved.work_key == step.work_key
    assert pickle.loads(pickle.dumps(step.work_key)) == step.work_key
    assert replace(step, layer=layer("b.gzip")).work_key != step.work_key
    assert replace(step, strict=True).work_key != step.work_key


def test_each_step_is_work_of_its_own() -> None:
    assert len({step.work_key for step in STEPS}) == len(STEPS)
    assert {step.kind for step in STEPS} == {step.__name__.lower() for step in get_args(LayerStep)}


@pytest.mark.parametrize("step", STEPS)
def test_no_key_holds_an_address(step: LayerStep) -> None:
    def values(value: Any) -> list[Any]:
        inner = [getattr(value, field.name) for field in fields(value)] if is_dataclass(value) else []
        return [value, *(each for one in inner for each in values(one))]

    assert not any(isinstance(each, FileRegion | Layer) for each in values(step.work_key))


def test_a_recoding_is_known_by_its_tar_and_by_who_encodes_it() -> None:
    step = Recode(layer("a.gzip"), ZSTD, IDENTITY)
    assert replace(step, layer=layer("a.zstd")).work_key == step.work_key
    assert replace(step, identity=replace(IDENTITY, version="1.5.8")).work_key != step.work_key
    assert replace(step, encoding=Encoding("zstd", 4)).work_key != step.work_key


def test_what_keeps_its_bytes_is_known_by_them() -> None:
    one = layer("a.gzip")
    assert Copy(layer("a.zstd")).work_key != Copy(one).work_key
    assert Copy(replace(one, diff_id=digest("b"))).work_key != Copy(one).work_key, "one of the two is wrong"
    assert Copy(one, decode=True).work_key != Copy(one).work_key
    assert Skip(one, chain=digest("chain")).work_key != Skip(one).work_key


def test_a_layer_without_a_digest_is_known_by_its_tar() -> None:
    one = layer("a.gzip")
    unnamed = replace(one, blob=replace(one.blob, digest=None))
    assert Copy(unnamed).work_key.content == digest("a")


def test_what_is_encoded_has_its_own_encoding_and_all_else_the_layer_s() -> None:
    for step in STEPS:
        assert step.changes_blob == step.unknown_size
        assert step.changes_blob == (step.encoding != step.layer.encoding) == (step.identity is not None)
