"""pass_options: what is asked of a pass is checked once, and reaches the kernel whole."""

from __future__ import annotations

import re
from dataclasses import FrozenInstanceError, fields
from pathlib import Path
from typing import Any

import pytest

from occy_fast.kernels.pass_options import PassOptions
from occy_fast.spec.encoding import NATIVE

EXT = Path(__file__).resolve().parents[2] / "ext"
NAMES = [field.name for field in fields(PassOptions)]
FREE = {"decode", "encode", "output", "level"}      # words, and what goes with a word


def struct_fields(text: str, opening: str, closing: str) -> list[str]:
    """Return the names that are declared between *opening* and *closing*, comments left out."""
    body = re.sub(r"/\*.*?\*/", "", text.split(opening, 1)[1].split(closing, 1)[0], flags=re.DOTALL)
    lines = [line.strip().rstrip(";") for line in body.splitlines() if line.strip()]
    return [name.split()[-1] for line in lines for name in line.split(",")]


def test_the_kernel_takes_every_option_and_no_other() -> None:
    header = struct_fields((EXT / "layer_pass.h").read_text(), "struct occy_pass_options {", "\n};")
    declared = struct_fields((EXT / "layer_pass.pxd").read_text(), "struct occy_pass_options:\n", "    struct ")
    copied = re.findall(r"wanted\.(\w+) = .*options\.(\w+)", (EXT / "layer_pass.pyx").read_text())
    assert sorted(header) == sorted(declared) == sorted(NAMES)
    assert sorted(copied) == sorted((name, name) for name in NAMES)


def test_the_kernel_knows_the_codecs_of_the_table() -> None:
    (row,) = re.findall(r"cdef dict CODECS = \{(.*)\}", (EXT / "layer_pass.pyx").read_text())
    assert re.findall(r'"(\w+)":', row) == list(NATIVE)


LIMITS = {
    "source_fd": (-1, 2**31 - 1),
    "source_offset": (0, 2**63 - 1),
    "source_size": (-1, 2**63 - 1),
    "sink_fd": (-1, 2**31 - 1),
    "sink_offset": (0, 2**63 - 1),
    "scan_tar": (0, 2),
    "max_tar": (0, 2**64 - 1),
    "max_ratio": (0, 2**64 - 1),
    "ratio_floor": (0, 2**64 - 1),
    "window_log_max": (10, 31),
    "max_header": (10, 2**32 - 1),
    "max_extension": (0, 2**31 - 1),
    "max_sparse_map": (0, 2**31 - 1),
    "max_extensions": (0, 2**31 - 1),
    "max_entries": (0, 2**31 - 1),
}


def test_every_number_has_limits() -> None:
    assert set(LIMITS) == set(NAMES) - FREE


@pytest.mark.parametrize("name", LIMITS)
def test_a_number_is_held_to_its_limits(name: str) -> None:
    least, most = LIMITS[name]
    for value in (least, most):
        assert getattr(PassOptions(**{name: value}), name) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ValueError, match=f"^{name}: expected {least} to {most}, found {value}$"):
            PassOptions(**{name: value})


@pytest.mark.parametrize("name", ["decode", "encode", "output"])
@pytest.mark.parametrize("word", ["", "xz", "GZIP", "gzip "])
def test_a_word_is_one_of_those_that_mean_something(name: str, word: str) -> None:
    options: dict[str, Any] = {name: word}
    with pytest.raises(ValueError, match=f"^{name}: expected one of no.*, found {word!r}$"):
        PassOptions(**options)


@pytest.mark.parametrize(
    ("encode", "level"), [("gzip", 0), ("gzip", 3), ("zstd", 0), ("zstd", 20), ("zstd", -1), ("gzip", 2**40)]
)
def test_a_level_is_one_of_the_encoder(encode: str, level: int) -> None:
    with pytest.raises(ValueError, match=f"^level: {encode} has no level {level}$"):
        PassOptions(output="encoded", encode=encode, level=level)


def test_a_level_needs_an_encoder() -> None:
    with pytest.raises(ValueError, match=r"^level: none has no level 3$"):
        PassOptions(output="tar", level=3)


@pytest.mark.parametrize(
    "options",
    [{"output": "encoded"}, {"output": "tar", "encode": "gzip"}, {"encode": "zstd"}, {"output": "encoded", "level": 1}],
)
def test_an_encoder_and_its_output_belong_together(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="needs an encoder"):
        PassOptions(**options)


def test_what_was_checked_stays_as_it_is() -> None:
    options = PassOptions(decode="gzip")
    with pytest.raises(FrozenInstanceError):
        options.decode = "zstd"  # type: ignore[misc]
    assert hash(options) == hash(PassOptions(decode="gzip"))
