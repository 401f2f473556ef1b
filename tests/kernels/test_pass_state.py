"""pass_state.h: every field of the pass says who may touch it, and no stage knows a codec."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

EXT = Path(__file__).resolve().parents[2] / "ext"
STATE = (EXT / "pass_state.h").read_text()
SHARED = ["piece", "chunk", "write_buffer", "occy_pass", "held_encoder", "worker", "occy_pool"]
GUARDS = ["fixed", "lock", "polled", "owner", "thread", "fill", "decode", "hash", "scan", "out", "encode", "write"]
PARTS = [EXT / "layer_pass.c", EXT / "pass_state.h", *sorted(EXT.glob("pass_*.c"))]
TABLES = {"pass_encoder.c", "pass_decoder.c"}


def declarations(struct: str) -> list[str]:
    """Return the lines of *struct* that declare something, each with its comment."""
    body = STATE.split(f"\nstruct {struct} {{\n", 1)[1].split("\n};", 1)[0]
    return [line for line in body.splitlines() if ";" in line.split("/*")[0]]


@pytest.mark.parametrize("struct", SHARED)
def test_every_field_names_its_guard(struct: str) -> None:
    for line in declarations(struct):
        comment = re.search(r"/\* (\w+)", line)
        # a write buffer inside a pass has guards of its own
        assert comment and (comment[1] in GUARDS or "struct write_buffer" in line), line


def test_the_guards_are_those_the_header_explains() -> None:
    head = STATE.split("*/", 1)[0]
    assert [guard for guard in GUARDS if not re.search(rf"^ \*  .*\b{guard}\b  ", head, re.MULTILINE)] == []


@pytest.mark.parametrize("path", [path for path in PARTS if path.name not in TABLES], ids=lambda path: path.name)
def test_a_codec_is_known_to_its_table_alone(path: Path) -> None:
    text = re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.DOTALL)
    assert re.findall(r".*(?:gzip|zstd|inflate|OCCY_CODEC_(?!NONE)).*", text, re.IGNORECASE) == []
