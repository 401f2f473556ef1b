"""What was built: codecs, hardening, demands."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import runpy
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast import kernels
from occy_fast.spec.encoding import Encoding
from occy_fast.streams.encoders import encoder_identity

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(Path(kernels.build_facts.__file__ or "").parent.glob("*.so"))
UNDER_SANITIZERS = bool(occy_fast.build_info().sanitized)


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run *code* in a new interpreter that has the same package."""
    package = str(Path(occy_fast.__file__).parent.parent)
    env = {name: value for name, value in os.environ.items() if name != "OCCY_FAST_KERNELS"}
    env |= {"PYTHONPATH": package} | environment
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=False)


def readelf(*options: str) -> str:
    """Return what readelf says with the locale's words switched off."""
    tool = shutil.which("readelf")
    assert tool, "readelf comes with the linker"
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run([tool, *options], capture_output=True, text=True, check=True, env=env).stdout


def test_build_info_names_every_codec() -> None:
    build = occy_fast.build_info()
    codecs = {codec.name: codec for codec in build.codecs}
    assert set(codecs) == {"isa-l", "libzstd"}
    assert all(re.fullmatch(r"\d+\.\d+\.\d+(\+first-byte)?", codec.version) for codec in build.codecs)
    assert {codec.origin for codec in build.codecs} <= {"pinned", "system"}
    assert build.kernels == "native"
    assert build.version == occy_fast.__version__
    assert build.architecture == platform.machine()
    assert build.compiler.split()[0] in ("gcc", "clang")
    assert build.abi == ("cpython" if hasattr(sys, "_is_gil_enabled") and "t" in sys.abiflags else "abi3")


def test_pinned_codecs_are_the_pinned_versions() -> None:
    codecs = {codec.name: codec for codec in occy_fast.build_info().codecs}
    if codecs["libzstd"].origin == "system":
        pytest.skip("built with the system's codecs")
    versions = (codecs["isa-l"].version, codecs["libzstd"].version)
    assert versions == ("2.32.1+first-byte", "1.5.7")       # else encoded bytes change


@pytest.fixture(scope="module")
def setup() -> dict[str, Any]:
    """Return what setup.py defines."""
    with pytest.MonkeyPatch.context() as patching:
        patching.setattr(sys, "argv", ["setup.py", "-q", "--name"])
        return runpy.run_path(str(ROOT / "setup.py"))


def test_a_patch_takes_the_published_file_alone(setup: dict[str, Any], tmp_path: Path) -> None:
    def digest(text: str) -> str:
        return hashlib.sha256(text.encode()).hexdigest()

    patch = setup["Patch"]("a.asm", digest("one\ntwo\n"), "one\n", "one\nmore\n", digest("one\nmore\ntwo\n"))
    (tmp_path / "a.asm").write_text("one\ntwo\n")
    patch.apply(tmp_path)
    assert (tmp_path / "a.asm").read_text() == "one\nmore\ntwo\n"
    with pytest.raises(setup["BuildError"], match=r"a.asm: expected sha256 [0-9a-f]{64}, found"):
        patch.apply(tmp_path)       # it is not the published file any more
    (tmp_path / "a.asm").write_text("one\ntwo\n")
    with pytest.raises(setup["BuildError"], match=f"found {digest('onetwo' + chr(10))}"):
        replace(patch, new="one").apply(tmp_path)       # it does not come out as it was tested


def test_the_system_codecs_promise_less(setup: dict[str, Any]) -> None:
    """What is built says what its bytes depend on; only the pinned and patched ISA-L gives the same ones every time."""
    identity = encoder_identity(Encoding("gzip", 2))
    assert identity.architecture.split(" ")[0] == platform.machine()
    flags = Path("/proc/cpuinfo").read_text().split()
    assert ("without" in identity.architecture) == (not {"sse4_2", "crc32"} & set(flags))
    origin = {codec.name: codec.origin for codec in occy_fast.build_info().codecs}["isa-l"]
    assert identity.reproducible == (origin == "pinned")
    assert ("(system)" in str(identity)) == ("not reproducible" in str(identity)) == (origin == "system")
    assert [patch.path for patch in setup["ISAL_PATCHES"]] == ["igzip/igzip_icf_body_h1_gr_bt.asm"]


def test_sha256_takes_the_processors_instructions() -> None:
    build = occy_fast.build_info()
    expected = "ni" if "sha_ni" in build.cpu else "arm" if "arm_sha2" in build.cpu else "scalar"
    assert build.sha256 == os.environ.get("OCCY_FAST_KERNELS", f"sha256:{expected}").removeprefix("sha256:")


def test_build_info_is_plain_json() -> None:
    document = occy_fast.build_info().to_json()
    assert json.loads(json.dumps(document)) == document


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_is_hardened(module: Path) -> None:
    segments, dynamic, symbols = (readelf("-W", option, str(module)) for option in ("-l", "-d", "--dyn-syms"))
    assert "GNU_RELRO" in segments
    assert re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1\).*NOW", dynamic)
    stack = next(line for line in segments.splitlines() if "GNU_STACK" in line)
    assert " RW " in stack
    assert " RWE " not in stack
    assert "TEXTREL" not in dynamic
    assert not re.search(r"\((RPATH|RUNPATH)\)", dynamic), "where the building Python lies is nobody's business"
    if not UNDER_SANITIZERS:
        assert "__stack_chk_fail" in symbols


def test_fortified_calls_are_used() -> None:
    if UNDER_SANITIZERS:
        pytest.skip("sanitizers replace them")
    assert any("_chk@" in readelf("--dyn-syms", "-W", str(module)) for module in MODULES)


def test_modules_hold_no_path_of_their_build() -> None:
    if UNDER_SANITIZERS:
        pytest.skip("what debuggers are told names the sources")
    if occy_fast.build_info().codecs[0].origin == "system":
        pytest.skip("the system's codecs are linked as the system has them")
    check = [sys.executable, str(ROOT / "wheels" / "check_hardening.py"), str(MODULES[0].parent), "--forbid", str(ROOT)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, f"{len(MODULES)} modules are hardened\n")


SOFT = """
#include <stdio.h>
int PyInit_soft(char *at) { return sprintf(at, "%p", (void *)PyInit_soft); }
int second(void) { return 0; }
"""


def test_a_soft_module_is_found(tmp_path: Path) -> None:
    """The check of the wheels sees each thing that it looks for."""
    source, made = tmp_path / "soft.c", tmp_path / "soft.abi3.so"
    source.write_text(SOFT)
    flags = ["-U_FORTIFY_SOURCE", "-fno-stack-protector", "-fPIC", "-shared", "-Wl,--no-as-needed", "-lresolv"]
    flags += ["-Wl,-z,norelro", "-Wl,-z,lazy", "-Wl,-z,execstack", f"-Wl,-rpath,{tmp_path}"]
    subprocess.run(["gcc", str(source), "-o", str(made), *flags], check=True)
    check = [sys.executable, str(ROOT / "wheels" / "check_hardening.py"), str(tmp_path), "--forbid", str(tmp_path)]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert [line.removeprefix("soft.abi3.so: ") for line in done.stdout.splitlines()[:-1]] == [
        "its relocations stay writable: no RELRO",
        "its relocations stay writable: no BIND_NOW",
        "its stack may be executed",
        "it names a place to search for libraries",
        "no stack protector",
        "unfortified calls: ['sprintf']",
        "it shows ['PyInit_soft', 'second']",
        "it needs ['libresolv.so.2']",
        f"it holds the text {str(tmp_path)!r}",
    ]
    assert done.stdout.splitlines()[-1].endswith("no module has a fortified call")


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_shows_its_entry_alone(module: Path) -> None:
    """Another zstd in the same process must not be taken for ours, nor ours for another."""
    shown = [
        line.split()[-1]
        for line in readelf("--dyn-syms", "-W", str(module)).splitlines()
        if re.search(r"\s(GLOBAL|WEAK)\s+DEFAULT\s+(\d+)\s", line)
    ]
    assert set(shown) - {"_init", "_fini"} == {f"PyInit_{module.name.split('.')[0]}"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_is_complete(module: Path) -> None:
    """A name that is missing in the archive would only fail when it is called."""
    missing = re.findall(r"\sUND\s+((?:occy|ZSTD|isal|crc32_gzip|XXH)_?\w*)", readelf("--dyn-syms", "-W", str(module)))
    if occy_fast.build_info().codecs[0].origin == "system":
        missing = [name for name in missing if name.startswith("occy")]
    assert missing == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_module_links_libc_alone(module: Path) -> None:
    needed = set(re.findall(r"\(NEEDED\).*\[(.*?)\]", readelf("-dW", str(module))))
    if UNDER_SANITIZERS or occy_fast.build_info().codecs[0].origin == "system":
        pytest.skip("sanitizers and system codecs are linked dynamically")
    assert {name for name in needed if not name.startswith(("libc.", "libpthread.", "ld-linux"))} == set()


# ---------------------------------------------------------------------------------------------- demands

PRINT_BUILD = "import occy_fast; b = occy_fast.build_info(); print(b.kernels, b.sha256)"


def test_pure_is_a_demand() -> None:
    done = python(PRINT_BUILD, OCCY_FAST_KERNELS="pure")
    assert (done.stdout, done.stderr) == ("pure hashlib\n", "")


def test_a_variant_of_sha256_is_a_demand() -> None:
    done = python(PRINT_BUILD, OCCY_FAST_KERNELS="sha256:scalar")
    assert (done.stdout, done.stderr) == ("native scalar\n", "")


@pytest.mark.parametrize(
    ("demand", "told"),
    [
        ("sha256:abacus", "OCCY_FAST_KERNELS=sha256:abacus: this machine and build offer"),
        ("fast", "OCCY_FAST_KERNELS=fast: expected 'pure' or 'sha256:VARIANT'"),
        ("pure,sha256:scalar", "OCCY_FAST_KERNELS=pure,sha256:scalar: expected"),
    ],
)
def test_an_unmet_demand_fails_the_import(demand: str, told: str) -> None:
    done = python("import occy_fast.kernels", OCCY_FAST_KERNELS=demand)
    assert done.returncode == 1
    assert f"ImportError: {told}" in done.stderr.splitlines()[-1]


def test_without_native_kernels_the_import_names_them(tmp_path: Path) -> None:
    package = Path(occy_fast.__file__).parent
    shutil.copytree(package, tmp_path / "occy_fast", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    done = python("import occy_fast.kernels", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "ImportError: the native kernel 'build_facts' is not built" in done.stderr.splitlines()[-1]
    assert "OCCY_FAST_KERNELS=pure" in done.stderr.splitlines()[-1]
    done = python(PRINT_BUILD, PYTHONPATH=str(tmp_path), OCCY_FAST_KERNELS="pure")
    assert done.stdout == "pure hashlib\n", done.stderr


def test_pure_without_its_modules_names_them() -> None:
    blocked = "import sys; sys.modules['zstandard'] = sys.modules['isal'] = None; import occy_fast.kernels"
    done = python(blocked, OCCY_FAST_KERNELS="pure")
    assert done.returncode == 1
    told = done.stderr.splitlines()[-1]
    assert re.search(r"ImportError: OCCY_FAST_KERNELS=pure needs the module '(zstandard|isal)'", told)
    assert "occy_fast[pure]" in told


# ----------------------------------------------------------------------------------------------- import


def test_import_loads_nothing_heavy() -> None:
    heavy = "urllib3 rich msgspec click dask ssl asyncio subprocess occy_fast.kernels occy_fast.api"
    code = f"import sys, occy_fast; print(sorted(set({heavy.split()!r}) & set(sys.modules)))"
    assert python(code).stdout == "[]\n"


def test_a_name_is_loaded_when_it_is_used() -> None:
    names = "sorted({name.split('.')[1] for name in sys.modules if 'occy_fast.' in name})"
    code = f"import sys, occy_fast as o; o.OccyError; print({names})"
    assert python(code).stdout == "['errors', 'version', 'words']\n"


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'occy_fast' has no attribute 'comvert'"):
        occy_fast.comvert  # type: ignore[attr-defined]  # noqa: B018
