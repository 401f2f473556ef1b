"""Make a small real image, convert it from docker-archive to an OCI layout with zstd, verify it, and say what was done.

With an argument, that archive is taken instead of the small image.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path("build/demo")
PROGRAMS = ("/bin/sh", "/bin/cat", "/bin/ls", "/usr/bin/sha256sum")


def linked_files(program: Path) -> Iterator[Path]:
    """Yield the shared libraries that *program* is linked with, its loader included."""
    listing = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=False).stdout
    for line in listing.splitlines():
        yield from (Path(word) for word in line.split() if word.startswith("/"))


def program_files() -> dict[str, bytes]:
    """Return name → content of a root filesystem that can run a shell."""
    files = {}
    for program in map(Path, PROGRAMS):
        if program.exists():
            for path in (program, *linked_files(program)):
                files[str(path).lstrip("/")] = path.read_bytes()
    return files


def library_files() -> dict[str, bytes]:
    """Return name → content of the standard library's own sources."""
    root = Path(sysconfig.get_path("stdlib"))
    return {f"opt/python/{path.relative_to(root)}": path.read_bytes() for path in root.glob("*.py")}


def layer(files: dict[str, bytes]) -> bytes:
    """Return *files* as a tar that depends on their names and contents alone."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        made: set[str] = set()
        for name in sorted(files):
            for parent in reversed(Path(name).parents[:-1]):
                if str(parent) not in made:
                    made.add(str(parent))
                    directory = tarfile.TarInfo(str(parent))
                    directory.type, directory.mode = tarfile.DIRTYPE, 0o755
                    tar.addfile(directory)
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(files[name]), 0o644 if name.endswith((".py", ".txt")) else 0o755
            tar.addfile(entry, io.BytesIO(files[name]))
    return out.getvalue()


def save_image(path: Path) -> None:
    """Write the small image the way `docker save` of Docker 1.10 to 24 does."""
    layers = [
        ("COPY programs /", layer(program_files())),
        ("COPY library /opt/python", layer(library_files())),
        ("COPY greeting.txt /", layer({"greeting.txt": b"hello from a converted image\n"})),
    ]
    config = {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine),
        "os": "linux",
        "created": "1970-01-01T00:00:00Z",
        "config": {"Cmd": ["/bin/cat", "/greeting.txt"], "Env": ["PATH=/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(tar).hexdigest()}" for _, tar in layers]},
        "history": [{"created": "1970-01-01T00:00:00Z", "created_by": line} for line, _ in layers],
    }
    raw = json.dumps(config, separators=(",", ":")).encode()
    config_name = f"{hashlib.sha256(raw).hexdigest()}.json"
    members = {config_name: raw}
    parent = ""
    names = []
    for _, tar in layers:
        parent = hashlib.sha256(f"{parent} {hashlib.sha256(tar).hexdigest()}".encode()).hexdigest()
        members[f"{parent}/VERSION"] = b"1.0"
        members[f"{parent}/layer.tar"] = tar
        names.append(f"{parent}/layer.tar")
    manifest = [{"Config": config_name, "RepoTags": ["occy-fast-demo:latest"], "Layers": names}]
    members["manifest.json"] = json.dumps(manifest, separators=(",", ":")).encode()
    with tarfile.open(path, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))


def run(*words: str) -> None:
    """Show one command and run it."""
    print(f"\n$ occy-fast {shlex.join(words)}", flush=True)
    done = subprocess.run([sys.executable, "-m", "occy_fast", *words], check=False)
    if done.returncode != 0:
        sys.exit(done.returncode)


def size_of(path: Path) -> int:
    """Return the bytes of a file, or of all files below a directory."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(each.stat().st_size for each in files if each.is_file())


def main(arguments: list[str]) -> None:
    """Run the demonstration."""
    HERE.mkdir(parents=True, exist_ok=True)
    if arguments:
        archive = Path(arguments[0])
    else:
        archive = HERE / "image.tar"
        save_image(archive)
        print(f"made {archive}: {size_of(archive):,} bytes, as docker save writes it")
    layout = HERE / "oci"
    shutil.rmtree(layout, ignore_errors=True)
    source, destination = f"docker-archive:{archive}", f"oci:{layout}"
    run("convert", "--dry-run", "--compression", "zstd", source, destination)
    run("convert", "--compression", "zstd", source, destination)
    run("verify", destination)
    run("inspect", destination)
    before, after = size_of(archive), size_of(layout)
    print(f"\n{archive}: {before:,} bytes → {layout}: {after:,} bytes ({after / before:.0%})")
    print("every digest and diff_id was verified")


if __name__ == "__main__":
    main(sys.argv[1:])
