"""Tables, links and names in the documents are true of the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

import occy_fast
from occy_fast import errors
from occy_fast.cli.failure import MEANINGS
from occy_fast.spec.encoding import CODECS, Encoding
from occy_fast.spec.limits import LIMITS, Limits
from occy_fast.streams.encoders import encoder_identity
from occy_fast.targets.catalog import all_targets
from support.documents import DOCUMENTS, ROOT, rows

SOURCES = ROOT / "src" / "occy_fast"


def words(text: str) -> list[str]:
    """Return what stands in backticks."""
    return re.findall(r"`([^`]+)`", text)


def test_the_readme_is_short() -> None:
    assert len(DOCUMENTS["README.md"].splitlines()) <= 180


def test_every_document_is_listed_in_the_readme() -> None:
    listed = set(re.findall(r"\]\(([\w/-]+\.md)\)", DOCUMENTS["README.md"]))
    assert listed == set(DOCUMENTS) - {"README.md"}


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_lead_somewhere(name: str) -> None:
    for target, anchor in re.findall(r"\]\(([^)#]*)(?:#([^)]+))?\)", DOCUMENTS[name]):
        path = ((ROOT / name).parent / target).resolve() if target else ROOT / name
        assert path.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_exit_codes_are_those_of_the_program() -> None:
    table = rows("README.md", "Exit codes")
    assert {int(code): meaning for code, meaning, _ in table} == MEANINGS
    for code, _, named in table:
        for name in filter(str.isidentifier, words(named)):
            if error := getattr(errors, name, None):
                assert error.exit_code == int(code), name
            else:
                assert name in ("check", "verify"), f"there is no {name}"


def test_the_table_of_limits_is_complete() -> None:
    units = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}
    told = {}
    for name, variable, default, _ in rows("docs/limits.md", "Limits"):
        number, _, unit = default.partition(" ")
        told[words(name)[0]] = (words(variable)[0], int(number.replace(",", "")) * units[unit])
    assert told == {field.name: (field.name.upper(), getattr(LIMITS, field.name)) for field in fields(Limits)}


def test_levels_are_those_of_the_encoders() -> None:
    text = ", ".join(f"{codec.name} {codec.default_level}" for codec in CODECS.values() if codec.levels)
    assert f"default level ({text})" in DOCUMENTS["docs/formats.md"]
    # as formats.md and README.md have them
    assert (CODECS["gzip"].levels, CODECS["zstd"].levels) == (range(1, 3), range(1, 20))
    for name in ("README.md", "docs/formats.md"):
        assert re.search(r"gzip .*levels\s+1 and 2.*zstd .*1 to 19", DOCUMENTS[name], re.DOTALL)


def test_the_encoder_is_the_one_shown() -> None:
    identity = encoder_identity(Encoding("zstd"))
    if identity.engine.startswith("pure"):
        pytest.skip("the native engine is shown")
    assert f"encoder: {identity}\n" in DOCUMENTS["docs/verification.md"]


def test_the_number_of_targets() -> None:
    for name in ("README.md", "docs/targets.md"):
        assert f" {len(all_targets())} " in DOCUMENTS[name]


def test_the_figures_in_the_readme_are_an_extract() -> None:
    whole = [row[:4] for row in rows("docs/benchmarks.md", "How it compares")]
    extract = rows("README.md", "occy_fast")
    assert extract
    assert all(row in whole for row in extract)


# What libraries read for us.
BY_OTHERS = {"NO_COLOR"}


def test_every_variable_of_the_program_is_in_the_tables() -> None:
    sections = ("By the command and the library", "By the command only", "Building")
    named = {name for section in sections for name in variables_named(section)}
    read = {name for path in sorted([*SOURCES.rglob("*.py"), ROOT / "setup.py"]) for name in variables_read(path)}
    assert read | BY_OTHERS | {"OCCY_FAST_MAX_LAYER", "OCCY_FAST_MAX_..."} == named


def test_every_variable_of_the_tests_is_in_the_table() -> None:
    reading = re.compile(
        r"""environ(?:\.get\(|\[)"(OCCY_FAST_\w+)"|"(OCCY_FAST_\w+)" (?:not )?in os\.environ|\$\{(OCCY_FAST_\w+):-"""
    )
    folders, kinds = ("tests", "benchmarks"), ("*.py", "*.sh")
    paths = [path for folder in folders for kind in kinds for path in sorted((ROOT / folder).rglob(kind))]
    read = {"".join(names) for path in paths for names in reading.findall(path.read_text())}
    told_above = set(variables_named("By the command and the library"))
    assert read - told_above == set(variables_named("Tests and benchmarks"))


def variables_named(section: str) -> list[str]:
    return [name for first, *_ in rows("docs/environment.md", section) for name in words(first)]


def variables_read(path: Path) -> Iterator[str]:
    """Yield the environment's variables that a module asks for by name."""
    tree = ast.parse(path.read_text())
    assigned = {
        ast.unparse(target): node.value
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    }
    for node in ast.walk(tree):
        called = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and (called.endswith("environ.get") or called == "wanted"):
            asked: ast.expr | None = node.args[0]
        elif isinstance(node, ast.Subscript) and ast.unparse(node.value).endswith("environ"):
            asked = node.slice
        else:
            continue
        if isinstance(asked, ast.Subscript):         # one of a table
            asked = assigned[ast.unparse(asked.value)]
        if isinstance(asked, ast.Name) and ast.unparse(asked) in assigned:
            asked = assigned[ast.unparse(asked)]
        if isinstance(asked, ast.Dict):
            yield from (ast.literal_eval(value) for value in asked.values)
        elif isinstance(asked, ast.Constant):
            yield asked.value
        else:
            assert path.name == "setup.py", f"{path}: which variable is {ast.unparse(node)}?"


def test_files_named_in_the_design_are_there() -> None:
    named = {word for word in words(DOCUMENTS["docs/design.md"]) if re.fullmatch(r"[\w/.*-]+/[\w/.*-]*", word)}
    for word in named - {"ext/NAME.pyx", "cli/NAME_cmd.py"}:
        assert any((ROOT / root / word).exists() or [*(ROOT / root).glob(word)] for root in ("", "src/occy_fast")), word


def test_what_functions_return() -> None:
    for call, returned, _ in rows("docs/python.md", "Python"):
        function = getattr(occy_fast, words(call)[0].partition("(")[0])
        annotation = str(function.__annotations__["return"])
        classes = [name for name in words(returned) if name[0].isupper()]
        assert all(name in annotation and name in occy_fast.__all__ for name in classes), call
