"""sha256: every variant gives the same bits."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from importlib import import_module
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

TWINS = [import_module(f"occy_fast.kernels.{side}.sha256") for side in ("native", "pure")]
VARIANTS = [(module, variant) for module in TWINS for variant in module.variants()]
CONTENT = bytes(range(256)) * 2


@pytest.fixture(params=["native", "pure"])
def sha256(request: pytest.FixtureRequest) -> ModuleType:
    return import_module(f"occy_fast.kernels.{request.param}.sha256")


@pytest.fixture(params=VARIANTS, ids=[f"{module.__name__.split('.')[2]}-{variant}" for module, variant in VARIANTS])
def begin(request: pytest.FixtureRequest) -> Any:
    module, variant = request.param
    return lambda: module.Sha256(variant=variant)


# FIPS 180-4's examples, and a message that is whole blocks
@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        (b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (b"a" * 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
        (
            b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
        ),
    ],
)
def test_published_digests(begin: Any, content: bytes, expected: str) -> None:
    state = begin()
    state.update(content)
    assert state.hexdigest() == expected
    assert state.digest() == bytes.fromhex(expected)


def test_every_length(begin: Any) -> None:
    for length in range(301):
        state = begin()
        state.update(CONTENT[:length])
        assert state.digest() == hashlib.sha256(CONTENT[:length]).digest(), length


def test_every_split(begin: Any) -> None:
    for length in range(301):
        expected = hashlib.sha256(CONTENT[:length]).digest()
        for cut in range(length + 1):
            state = begin()
            state.update(CONTENT[:cut])
            state.update(memoryview(CONTENT)[cut:length])
            assert state.digest() == expected, (length, cut)


@given(pieces=st.lists(st.binary(max_size=200) | st.integers(0, 20_000).map(bytes), max_size=8))
def test_twins_agree(pieces: list[bytes]) -> None:
    expected = hashlib.sha256(b"".join(pieces)).digest()
    for module, variant in VARIANTS:
        state = module.Sha256(variant=variant)
        for piece in pieces:
            state.update(piece)
        assert state.digest() == expected, variant
        assert module.sha256(b"".join(pieces)) == expected


def test_a_digest_ends_nothing(begin: Any) -> None:
    state = begin()
    state.update(b"a")
    state.digest()
    state.update(b"bc")
    assert state.digest() == hashlib.sha256(b"abc").digest()


def test_a_copy_is_independent(begin: Any) -> None:
    state = begin()
    state.update(b"a" * 70)
    twin = state.copy()
    twin.update(b"b")
    assert state.digest() == hashlib.sha256(b"a" * 70).digest()
    assert twin.digest() == hashlib.sha256(b"a" * 70 + b"b").digest()
    assert twin.variant == state.variant


def test_variants_are_named(sha256: ModuleType) -> None:
    assert [sha256.Sha256(variant=name).variant for name in sha256.variants()] == list(sha256.variants())
    assert sha256.Sha256().variant in sha256.variants()
    with pytest.raises(ValueError, match=r"variant: expected one of .*, found none-such"):
        sha256.Sha256(variant="none-such")


def test_native_has_the_defining_variant_and_prefers_another() -> None:
    native = TWINS[0]
    assert native.variants()[0] == "scalar"
    assert native.Sha256().variant == native.variants()[-1]


@pytest.mark.parametrize("demand", ["sha256:scalar", " sha256:scalar,"])
def test_a_variant_can_be_demanded(demand: str) -> None:
    command = "from occy_fast.kernels import sha256; print(sha256.Sha256().variant)"
    environment = {**os.environ, "OCCY_FAST_KERNELS": demand, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", command], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "scalar\n"


def test_only_contiguous_bytes(sha256: ModuleType) -> None:
    with pytest.raises((TypeError, ValueError, BufferError)):
        sha256.sha256(memoryview(b"abcd")[::2])
    with pytest.raises(TypeError):
        sha256.sha256("abc")
