"""Check that every native module of a wheel, or of a directory, is hardened, bare of paths, and bound to libc alone."""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# With _FORTIFY_SOURCE=3 a compiler leaves none of these unchecked in our code: the size of what they write to is known
# there, or the whole call is bad.  memcpy and its like stay plain where the compiler itself has proved the size.
ALWAYS_FORTIFIED = {"gets", "printf", "snprintf", "sprintf", "strcat", "strcpy", "vsnprintf", "vsprintf"}
LIBC = ("libc.", "libpthread.", "libm.", "ld-linux", "libc.musl")


def readelf(*options: str) -> str:
    """Return what readelf says, in English."""
    env = {**os.environ, "LC_ALL": "C"}
    return subprocess.run(["readelf", "-W", *options], capture_output=True, text=True, check=True, env=env).stdout


def findings(module: Path, forbidden: list[bytes]) -> list[str]:
    """Return what is wrong with *module*, one sentence each."""
    header, segments, dynamic, symbols = (readelf(option, str(module)) for option in ("-h", "-l", "-d", "--dyn-syms"))
    stacks = [line for line in segments.splitlines() if "GNU_STACK" in line]
    imported = set(re.findall(r"\sUND\s+([^\s@]+)", symbols))
    shown = set(re.findall(r"\s(?:GLOBAL|WEAK)\s+DEFAULT\s+\d+\s+([^\s@]+)", symbols)) - {"_init", "_fini"}
    needed = [name for name in re.findall(r"\(NEEDED\).*\[(.*?)\]", dynamic) if not name.startswith(LIBC)]
    content = module.read_bytes()
    wrong = {
        "it is no shared object": not re.search(r"Type:\s+DYN", header),
        "its relocations stay writable: no RELRO": "GNU_RELRO" not in segments,
        "its relocations stay writable: no BIND_NOW": not re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1\).*\bNOW\b", dynamic),
        "its stack may be executed": len(stacks) != 1 or " RW " not in stacks[0],
        "a segment is writable and executable": bool(re.search(r"^\s*LOAD\s.*\sRWE\s", segments, re.M)),
        "its code is relocated": "TEXTREL" in dynamic,
        "it names a place to search for libraries": bool(re.search(r"\((RPATH|RUNPATH)\)", dynamic)),
        "no stack protector": "__stack_chk_fail" not in imported,
        f"unfortified calls: {sorted(imported & ALWAYS_FORTIFIED)}": bool(imported & ALWAYS_FORTIFIED),
        f"it shows {sorted(shown)}": shown != {f"PyInit_{module.name.split('.')[0]}"},
        f"it needs {needed}": bool(needed),
    }
    found = [sentence for sentence, holds in wrong.items() if holds]
    return found + [f"it holds the text {text.decode()!r}" for text in forbidden if text in content]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("built", type=Path, help="a wheel, or a directory of modules")
    parser.add_argument("--forbid", action="append", default=[], metavar="TEXT", help="what no module may hold: a path")
    options = parser.parse_args()
    forbidden = [os.fsencode(text) for text in options.forbid]
    with tempfile.TemporaryDirectory() as scratch:
        directory = options.built
        if directory.is_file():
            directory = Path(scratch)
            with zipfile.ZipFile(options.built) as wheel:
                wheel.extractall(directory)
        modules = sorted(directory.rglob("*.so"))
        found = {module.name: findings(module, forbidden) for module in modules}
        fortified = any("_chk@" in readelf("--dyn-syms", str(module)) for module in modules)
    lines = [f"{name}: {sentence}" for name, sentences in found.items() for sentence in sentences]
    if not modules:
        lines.append(f"{options.built}: no native module is in it")
    elif not fortified:
        lines.append(f"{options.built}: no module has a fortified call")
    print("\n".join(lines) or f"{len(modules)} modules are hardened")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main())
