"""What wheels/check_contents.py finds in a wheel, and what the bill of materials says."""

from __future__ import annotations

import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "wheels"))

import check_contents  # noqa: E402
import sbom  # noqa: E402

INFO = "occy_fast-1.0.dist-info"
CODECS = [
    sbom.Part("ISA-L", "2.0", "BSD-3-Clause", "pkg:github/intel/isa-l@v2.0", "0" * 64, "isal-1.0.tar.gz", ("a.asm",)),
    sbom.Part("libzstd", "1.5", "BSD-3-Clause", "pkg:github/facebook/zstd@v1.5", "1" * 64, "zstandard-1.0.tar.gz"),
]
PARTS = [*CODECS, sbom.Part("Cython", "3.1", "Apache-2.0", "pkg:pypi/cython@3.1")]

Files = dict[str, bytes]


def whole() -> Files:
    """Return the files of a wheel that has all it must have."""
    files = dict.fromkeys(check_contents.expected_names(INFO, ".abi3.so"), b"")
    files |= {f"{INFO}/licenses/{path.relative_to(ROOT)}": path.read_bytes() for path in check_contents.LICENCES}
    files[f"{INFO}/METADATA"] = b"Name: occy_fast\nRequires-Dist: click>=8\nRequires-Dist: dask; extra == 'dask'\n"
    files[f"{INFO}/sboms/occy_fast.cdx.json"] = bill(PARTS)
    return files


def bill(parts: list[sbom.Part], requires: tuple[tuple[str, str], ...] = (("click", ">=8"),)) -> bytes:
    return sbom.document("occy_fast", "1.0", "Apache-2.0", parts, requires).encode()


def found(files: Files, path: Path) -> list[str]:
    with zipfile.ZipFile(path, "w") as wheel:
        for name, content in files.items():
            wheel.writestr(name, content)
    with zipfile.ZipFile(path) as wheel:
        return check_contents.findings(wheel)


def test_a_whole_wheel(tmp_path: Path) -> None:
    assert found(whole(), tmp_path / "whole.whl") == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda files: files.update({"occy_fast/kernels/native/crc.c": b""}), "native/crc.c is stray"),
        (lambda files: files.update({"tests/conftest.py": b""}), "tests/conftest.py is stray"),
        (lambda files: files.pop("occy_fast/py.typed"), "occy_fast/py.typed is missing"),
        (lambda files: files.pop("occy_fast/kernels/native/unzstd.abi3.so"), "unzstd.abi3.so is missing"),
        (lambda files: files.pop(f"{INFO}/licenses/wheels/licenses/zstd.txt"), "zstd.txt is missing"),
        (lambda files: files.update({f"{INFO}/licenses/LICENSE": b"mine"}), "LICENSE is not the repository's"),
        (lambda files: files.update({f"{INFO}/sboms/occy_fast.cdx.json": bill(PARTS[1:])}), "lacks a codec"),
        (lambda files: files.update({f"{INFO}/sboms/occy_fast.cdx.json": bill(PARTS, ())}), "disagree about what"),
    ],
)
def test_what_is_wrong_is_told(change: Callable[[Files], object], told: str, tmp_path: Path) -> None:
    files = whole()
    change(files)
    assert [sentence for sentence in found(files, tmp_path / "wrong.whl") if told in sentence]


def test_the_bill_of_materials_depends_on_its_parts_alone() -> None:
    assert bill(PARTS) == bill(PARTS)
    assert json.loads(bill(PARTS))["serialNumber"] != json.loads(bill(PARTS[:2]))["serialNumber"]
    isal, *_ = json.loads(bill(PARTS))["components"]
    assert (isal["name"], isal["version"]) == ("ISA-L", "2.0")
    assert isal["hashes"] == [{"alg": "SHA-256", "content": "0" * 64}]
    assert isal["pedigree"] == {"notes": "edited before it is compiled: a.asm"}
