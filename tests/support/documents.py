"""The documents for users, and the blocks in them."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATHS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md")))
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text() for path in PATHS}


def blocks(name: str, language: str) -> list[str]:
    """Return the fenced blocks of a document that are marked as *language*."""
    return re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENTS[name], re.MULTILINE | re.DOTALL)


def commands(name: str) -> list[str]:
    """Return the command lines of a document's shell blocks, without comments, one by one."""
    lines = "".join(blocks(name, "sh")).splitlines()
    return [command for line in lines if (command := re.sub(r"\s+#.*$", "", line).strip())]


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the table below *heading*, without its head."""
    _, found, section = DOCUMENTS[name].partition(f"# {heading}\n")
    assert found, f"{name} has no section '{heading}'"
    table = re.search(r"^\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", section, re.MULTILINE)
    assert table, f"{name} has no table below '{heading}'"
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[1].splitlines()]
