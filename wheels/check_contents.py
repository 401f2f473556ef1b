"""Check that a wheel holds the package, its licences and its bill of materials, and nothing else."""

from __future__ import annotations

import argparse
import json
import re
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "occy_fast"
LICENCES = [ROOT / "LICENSE", *sorted((ROOT / "wheels" / "licenses").glob("*.txt"))]


def expected_names(info: str, suffix: str) -> set[str]:
    """Return the name of every file that belongs into the wheel whose modules end in *suffix*."""
    sources = [path for pattern in ("*.py", "*.pyi", "py.typed", "targets/*.json") for path in PACKAGE.rglob(pattern)]
    kernels = [path.stem for path in (ROOT / "ext").glob("*.pyx")]
    metadata = ["METADATA", "WHEEL", "RECORD", "entry_points.txt", "top_level.txt", "sboms/occy_fast.cdx.json"]
    metadata += [f"licenses/{path.relative_to(ROOT)}" for path in LICENCES]
    return {
        *(str(path.relative_to(PACKAGE.parent)) for path in sources),
        *(f"occy_fast/kernels/native/{name}{suffix}" for name in kernels),
        *(f"{info}/{name}" for name in metadata),
    }


def findings(wheel: zipfile.ZipFile) -> list[str]:
    """Return what is wrong with the contents of *wheel*, one sentence each."""
    names = {name for name in wheel.namelist() if not name.endswith("/")}
    info = next(name.split("/")[0] for name in names if name.endswith(".dist-info/METADATA"))
    suffixes = {found[0] for name in names if (found := re.search(r"(?<=build_facts)\..*\bso$", name))}
    suffix = suffixes.pop() if suffixes else ".abi3.so"
    expected = expected_names(info, suffix)
    wrong = [f"{name} is stray" for name in sorted(names - expected)]
    if missing := sorted(expected - names):
        return [*wrong, *(f"{name} is missing" for name in missing)]
    for path in LICENCES:
        if wheel.read(f"{info}/licenses/{path.relative_to(ROOT)}") != path.read_bytes():
            wrong.append(f"{path.relative_to(ROOT)} is not the repository's")
    bill = json.loads(wheel.read(f"{info}/sboms/occy_fast.cdx.json"))
    for part in bill["components"]:
        if part["scope"] == "required" and not (part["version"] and part["licenses"]):
            wrong.append(f"the bill of materials tells no version or licence of {part['name']}")
        if part["name"] in ("ISA-L", "libzstd") and len(part["hashes"][0]["content"]) != 64:
            wrong.append(f"the bill of materials tells no digest of {part['name']}")
    if not {"ISA-L", "libzstd", "Cython"} <= {part["name"] for part in bill["components"]}:
        wrong.append("the bill of materials lacks a codec")
    requires = set(re.findall(r"^Requires-Dist: ([\w.-]+)[^;\n]*$", wheel.read(f"{info}/METADATA").decode(), re.M))
    if requires != {part["name"] for part in bill["components"] if part["scope"] == "excluded"}:
        wrong.append("the bill of materials and the metadata disagree about what is required")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("wheel", type=Path)
    with zipfile.ZipFile(parser.parse_args().wheel) as wheel:
        wrong = findings(wheel)
        files = sum(not name.endswith("/") for name in wheel.namelist())
    print("\n".join(wrong) or f"{files} files, none stray, none missing")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
