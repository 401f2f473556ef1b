"""Build the kernels: the pinned codecs and our C as one static archive, and one extension module for each kernel."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from setuptools import Command, Distribution, Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext
from setuptools.errors import BaseError

ROOT = Path(__file__).resolve().parent
EXT = ROOT / "ext"
BUILD = ROOT / "build"
# Every ext/NAME.pyx is a kernel and becomes occy_fast.kernels.native.NAME; every ext/NAME.c is in the static archive.
KERNELS = sorted(path.stem for path in EXT.glob("*.pyx"))
C_SOURCES = sorted(path.name for path in EXT.glob("*.c"))
# Flags beside the common ones.  -O3 is worth 11 % to the scalar sha256 (Sapphire Rapids, 14 pairs) and nothing to zstd
# at levels 1 to 3.
OWN_FLAGS = {
    "sha256_scalar.c": ["-O3"],
    "zstd_jobs.c": ["-Wno-maybe-uninitialized"],     # compiles the pinned zstd.c as part of itself
}
FREE_THREADED = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))


def wanted(name: str) -> bool:
    """Read a switch from the environment."""
    return os.environ.get(name, "").lower() not in ("", "0", "no", "off", "false")


DEBUG = wanted("OCCY_FAST_DEBUG")
FUZZ = wanted("OCCY_FAST_FUZZ")         # C alone, for the fuzz targets: with clang for its fuzzer, else to replay
SANITIZE = wanted("OCCY_FAST_SANITIZE") or FUZZ
SYSTEM = wanted("OCCY_FAST_SYSTEM_CODECS")
WERROR = wanted("OCCY_FAST_WERROR")
MODE = "-".join(
    [
        "system" if SYSTEM else "pinned",
        *(["debug"] if DEBUG else []),
        *(["sanitize"] if SANITIZE else []),
        *(["fuzz"] if FUZZ else []),
    ]
)


class BuildError(BaseError):
    """The kernels cannot be built here; the message says what is missing."""


def run(command: list[str], what: str, **options: object) -> str:
    """Run *command* and return its output, or fail with what it printed."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False, **options)  # type: ignore[call-overload]
    except FileNotFoundError:
        raise BuildError(f"{what}: {command[0]} is missing on this machine") from None
    if done.returncode != 0:
        raise BuildError(f"{what}: {shlex.join(command)} failed\n{done.stdout}{done.stderr}")
    if done.stderr.strip():
        print(done.stderr.strip(), file=sys.stderr)
    return str(done.stdout)


def content_hash(*parts: object) -> str:
    """Hash paths by what they hold, and everything else by its text."""
    state = hashlib.sha256()
    for part in parts:
        state.update(part.read_bytes() if isinstance(part, Path) else repr(part).encode())
        state.update(b"\0")
    return state.hexdigest()[:16]


@contextlib.contextmanager
def only_one_build() -> Iterator[None]:
    """Let one process at a time build in this tree."""
    BUILD.mkdir(exist_ok=True)
    with open(BUILD / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


# ---------------------------------------------------------------------------------------------- flags


def compiler() -> list[str]:
    """Return the C compiler as a command."""
    return shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")


def machine_flags() -> list[str]:
    if platform.machine() in ("x86_64", "AMD64"):
        return ["-fcf-protection=full"]
    if platform.machine() in ("aarch64", "arm64"):
        return ["-mbranch-protection=standard"]
    return []


def without_paths() -> list[str]:
    """Keep the place of this tree out of what is built."""
    return [f"-ffile-prefix-map={ROOT}=."]


def coverage_flags() -> list[str]:
    """Let a fuzzer see which way an input takes."""
    return ["-DOCCY_FUZZ", "-fsanitize=fuzzer-no-link"] if FUZZ and "clang" in compiler_version() else []


def compile_flags() -> list[str]:
    """Return what all our C and Cython is compiled with."""
    flags = ["-fPIC", "-g" if DEBUG or SANITIZE else "-g0", "-fno-strict-overflow"]
    flags += ["-fvisibility=hidden", "-ffunction-sections", "-fdata-sections", *without_paths()]
    flags += ["-fstack-protector-strong", "-fstack-clash-protection", *machine_flags(), "-Wformat", "-Wformat-security"]
    flags += ["-Werror=implicit-function-declaration"]      # what the limited API lacks would crash when called
    if SANITIZE:
        flags += ["-O1", "-fno-omit-frame-pointer", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
    else:
        flags += ["-O2", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
    flags += coverage_flags()
    if DEBUG:
        flags += ["-UNDEBUG", "-DOCCY_DEBUG"]
    else:
        flags += ["-DNDEBUG"]
    return flags


def link_flags() -> list[str]:
    # Two modules of one process may hold different zstds: nothing of the archive is visible outside.
    flags = ["-Wl,--exclude-libs,ALL", "-Wl,--gc-sections", "-pthread"]
    flags += ["-Wl,-z,relro", "-Wl,-z,now", "-Wl,-z,noexecstack"]
    return [*flags, "-fsanitize=address,undefined"] if SANITIZE else flags


# --------------------------------------------------------------------------------------------- codecs


@dataclass(frozen=True)
class Pinned:
    """One source distribution, named by its hash, and the library that is built from it."""

    name: str
    version: str
    sha256: str
    library: str
    library_version: str
    licence: str
    purl: str

    @property
    def file_name(self) -> str:
        return f"{self.name}-{self.version}.tar.gz"

    @property
    def requirement(self) -> str:
        return f"{self.name}=={self.version} --hash=sha256:{self.sha256}"


ISAL = Pinned(
    name="isal",
    version="1.9.1",
    sha256="d210dca02a689ef2af709d2c62d2daac2e36b5d2fa06e6dc0d023c83fee77e91",
    library="ISA-L",
    library_version="2.32.1",
    licence="BSD-3-Clause",
    purl="pkg:github/intel/isa-l@v2.32.1",
)


@dataclass(frozen=True)
class Patch:
    """A few lines of a pinned source that are wrong, and what stands there instead."""

    path: str                # below the library's tree
    sha256: str              # of the file as it was published
    old: str
    new: str
    sha256_after: str

    def apply(self, tree: Path) -> None:
        """Edit the file in *tree*, which must be the one that was published, and come out as it was tested."""
        path = tree / self.path
        self._check(path, self.sha256)
        path.write_text(path.read_text().replace(self.old, self.new))
        self._check(path, self.sha256_after)

    def _check(self, path: Path, expected: str) -> None:
        if (found := hashlib.sha256(path.read_bytes()).hexdigest()) != expected:
            raise BuildError(f"{path}: expected sha256 {expected}, found {found}")


# On x86, levels 1 and 2, having written a stream's first byte, hash what should be position 2 out of a register that
# still holds the stream's address: where the stream lies decides which matches are found, and so the bytes.  The line
# loads what the next two expect.  occy_isal_version() of ext/gzip_segments.c names the patch.
FIRST_BYTE = Patch(
    path="igzip/igzip_icf_body_h1_gr_bt.asm",
    sha256="b5b286198b49b0ed618a2973a3480bc03455f26b2f53d01363431bc3d2dd7aec",
    old="\tmov\thash, hash2\n\tshr\ttmp2, 16\n",
    new="\tmov\thash, hash2\n\tmov\ttmp2, curr_data\n\tshr\ttmp2, 16\n",
    sha256_after="961d98336f8cebe5b0421802e348d8d00a0a72f84c4df5ebccf5b4691bd83ab6",
)
ISAL_PATCHES = (FIRST_BYTE,)
ZSTD = Pinned(
    name="zstandard",
    version="0.25.0",
    sha256="7713e1179d162cf5c7906da876ec2ccb9c3a9dcbdffef0cc7f70c3667a205f0b",
    library="libzstd",
    library_version="1.5.7",
    licence="BSD-3-Clause",
    purl="pkg:github/facebook/zstd@v1.5.7",
)


@dataclass(frozen=True)
class Codecs:
    """Where the codecs' headers and archives are, and how to link them."""

    include_dirs: tuple[str, ...]
    archives: tuple[Path, ...]
    link: tuple[str, ...]
    key: str


def source_distributions() -> dict[str, Path]:
    """Return both source distributions, their hashes checked: from the directory the user names, else by pip."""
    named = os.environ.get("OCCY_FAST_CODEC_SOURCES")
    directory = Path(named) if named else BUILD / "codecs" / "sdists"
    if not named and not all((directory / pinned.file_name).exists() for pinned in (ISAL, ZSTD)):
        fetch_source_distributions(directory)
    found = {}
    for pinned in (ISAL, ZSTD):
        path = directory / pinned.file_name
        if not path.is_file():
            raise BuildError(f"OCCY_FAST_CODEC_SOURCES={named} holds no {pinned.file_name}")
        if (digest := hashlib.sha256(path.read_bytes()).hexdigest()) != pinned.sha256:
            raise BuildError(f"{path}: expected sha256 {pinned.sha256}, found {digest}")
        found[pinned.name] = path
    return found


def fetch_source_distributions(directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    requirements = directory / "requirements.txt"
    requirements.write_text(f"{ISAL.requirement}\n{ZSTD.requirement}\n")
    print("fetching the sources of the codecs by hash")
    options = ["--no-deps", "--no-binary", "isal,zstandard", "--require-hashes", "-qq"]
    command = [sys.executable, "-m", "pip", "download", *options, "--dest", str(directory), "-r", str(requirements)]
    try:
        run(command, "the sources of the codecs cannot be fetched")
    except BuildError as error:
        remedy = f"put {ISAL.file_name} and {ZSTD.file_name} into a directory and set OCCY_FAST_CODEC_SOURCES to it"
        raise BuildError(f"{error}\n{remedy}") from None


def unpacked(pinned: Pinned, archive: Path) -> Path:
    """Return the tree of *archive*, unpacked once."""
    target = BUILD / "codecs" / f"{pinned.name}-{pinned.version}-{pinned.sha256[:16]}"
    if not target.exists():
        scratch = target.with_suffix(".new")
        shutil.rmtree(scratch, ignore_errors=True)
        with tarfile.open(archive) as tar:
            tar.extractall(scratch, filter="data")
        os.rename(scratch / f"{pinned.name}-{pinned.version}", target)
        scratch.rmdir()
    return target


def pinned_codecs() -> Codecs:
    """Build ISA-L's archive; zstd is compiled through ext/zstd_jobs.c, which reaches its internals."""
    archives = source_distributions()
    zstd = unpacked(ZSTD, archives[ZSTD.name]) / "zstd"
    isal = built_isal(unpacked(ISAL, archives[ISAL.name]) / "src" / "isal" / "isa-l")
    return Codecs(
        include_dirs=(str(isal / "include"), str(zstd)),
        archives=(isal / "libisal.a",),
        link=(),
        key=content_hash(ISAL.sha256, ISAL_PATCHES, ZSTD.sha256),
    )


def built_isal(tree: Path) -> Path:
    """Build ISA-L out of its own tree; return a directory with include/ and libisal.a."""
    on_arm = platform.machine() in ("aarch64", "arm64")
    if platform.machine() == "x86_64" and shutil.which("nasm") is None:
        raise BuildError("nasm is missing, and ISA-L needs it on x86-64: apt-get install nasm")
    # ISA-L's makefile takes flags from this variable alone: it overwrites CFLAGS.
    flags = ["-fPIC", "-fvisibility=hidden", *without_paths(), *machine_flags(), *coverage_flags()]
    flags += ["-fstack-protector-strong", "-U_FORTIFY_SOURCE", "-D_FORTIFY_SOURCE=3"]
    command = ["make", "-f", "Makefile.unx", f"-j{len(os.sched_getaffinity(0))}", "units=crc igzip"]
    command += [f"CC={shlex.join(compiler())}", f"{'CFLAGS_aarch64' if on_arm else 'CFLAGS_'}={shlex.join(flags)}"]
    command += ["isa-l.h", "bin/isa-l.a"]
    target = BUILD / "codecs" / f"isa-l-{content_hash(ISAL.sha256, ISAL_PATCHES, command[4:], compiler_version())}"
    if target.exists():
        return target
    print("building ISA-L")
    scratch = target.with_suffix(".new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.copytree(tree, scratch / "tree")
    for patch in ISAL_PATCHES:
        patch.apply(scratch / "tree")
    outer = ("CFLAGS", "MAKEFLAGS", "MFLAGS", "MAKELEVEL")
    env = {name: value for name, value in os.environ.items() if name not in outer}
    run(command, "ISA-L cannot be built", cwd=scratch / "tree", env=env)
    shutil.copytree(scratch / "tree" / "include", scratch / "include" / "isa-l")
    shutil.copy(scratch / "tree" / "isa-l.h", scratch / "include")
    shutil.copy(scratch / "tree" / "bin" / "isa-l.a", scratch / "libisal.a")
    shutil.rmtree(scratch / "tree")
    os.rename(scratch, target)
    return target


def system_codecs() -> Codecs:
    """Take what pkg-config finds."""
    packages = ["libzstd", "libisal"]
    cflags = shlex.split(run(["pkg-config", "--cflags", *packages], "OCCY_FAST_SYSTEM_CODECS"))
    libs = shlex.split(run(["pkg-config", "--libs", *packages], "OCCY_FAST_SYSTEM_CODECS"))
    versions = run(["pkg-config", "--modversion", *packages], "OCCY_FAST_SYSTEM_CODECS").split()
    include_dirs = tuple(flag.removeprefix("-I") for flag in cflags if flag.startswith("-I"))
    return Codecs(include_dirs, (), tuple(libs), content_hash(versions, cflags, libs))


# --------------------------------------------------------------------------------- the static archive


def compiler_version() -> str:
    return run([*compiler(), "--version"], "the C compiler").splitlines()[0]


def included(source: Path) -> list[Path]:
    """Return *source* and every file of ours that it includes, directly or not."""
    found = [source]
    for path in found:
        for name in re.findall(r'^\s*#\s*include\s+"([^"]+)"', path.read_text(), re.MULTILINE):
            header = EXT / name
            if header.exists() and header not in found:
                found.append(header)
    return found


def native_archive(codecs: Codecs) -> Path:
    """Compile what changed of our C, join it with the codecs' archives, and return libocycore.a."""
    directory = BUILD / "core" / MODE
    directory.mkdir(parents=True, exist_ok=True)
    defines = ["-DOCCY_SYSTEM_CODECS"] if SYSTEM else []
    warnings = ["-Wall", "-Wextra", "-Wstrict-prototypes"]
    includes = [f"-I{EXT}", *(flag for path in codecs.include_dirs for flag in ("-isystem", path))]
    user_flags = shlex.split(os.environ.get("CFLAGS", ""))
    objects = []
    for name in C_SOURCES:
        source = EXT / name
        flags = ["-std=c11", "-D_GNU_SOURCE=", *compile_flags(), *warnings, *defines]
        flags += [*([] if SANITIZE else OWN_FLAGS.get(name, [])), *user_flags, "-pthread"]
        key = content_hash(compiler_version(), flags, codecs.key, *included(source))
        target = directory / f"{source.stem}-{key}.o"
        objects.append(target)
        if target.exists():
            continue
        print(f"compiling ext/{name}")
        scratch = target.with_suffix(".new")
        strict = ["-Werror"] if WERROR else []
        run([*compiler(), *flags, *strict, *includes, "-c", str(source), "-o", str(scratch)], f"ext/{name}")
        for stale in directory.glob(f"{source.stem}-{'[0-9a-f]' * 16}.o"):
            stale.unlink()
        os.rename(scratch, target)
    return joined(directory / "libocycore.a", [*objects, *codecs.archives])


def joined(target: Path, parts: list[Path]) -> Path:
    """Make one archive of objects and archives; keep it when nothing in it changed, so that nothing is linked again."""
    listing = "\n".join(map(str, parts))
    stamp = target.with_suffix(".parts")
    if target.exists() and stamp.exists() and stamp.read_text() == listing:
        return target
    scratch = target.with_suffix(".new")
    scratch.unlink(missing_ok=True)
    adding = [f"ADD{'LIB' if part.suffix == '.a' else 'MOD'} {part}" for part in parts]
    script = "\n".join([f"CREATE {scratch}", *adding, "SAVE", "END", ""])
    run(["ar", "-M"], "the static archive", input=script)
    os.rename(scratch, target)
    stamp.write_text(listing)
    return target


# ---------------------------------------------------------------------------------------- the modules


class BuildKernels(build_ext):
    """Build the archive first, then every kernel on top of it."""

    def run(self) -> None:
        with only_one_build():
            super().run()

    def build_extensions(self) -> None:
        # Where the building Python has its libraries is of no use elsewhere, and a way in where others may write.
        own = [flag for flag in shlex.split(sysconfig.get_config_var("LDSHARED") or "") if "-rpath" in flag]
        self.compiler.linker_so = [flag for flag in self.compiler.linker_so if flag not in own]
        self.codecs = system_codecs() if SYSTEM else pinned_codecs()
        self.archive = native_archive(self.codecs)
        self.flags = self.flags_stamp()
        super().build_extensions()

    def flags_stamp(self) -> Path:
        """Return a file that is newer than the last build when that was made with other flags."""
        text = repr((MODE, compile_flags(), link_flags(), self.codecs, compiler_version(), sys.version))
        stamp = BUILD / "core" / "flags"
        if not stamp.exists() or stamp.read_text() != text:
            stamp.write_text(text)
        return stamp

    def build_extension(self, ext: Extension) -> None:
        from Cython.Build import cythonize

        directives = {
            "language_level": 3,
            "freethreading_compatible": True,
            "autotestdict": False,
            "embedsignature": False,
            "boundscheck": DEBUG,
            "wraparound": False,
            "cdivision": not DEBUG,
            "initializedcheck": DEBUG,
        }
        made = cythonize(
            [ext],
            build_dir=str(BUILD / "cython" / MODE),
            include_path=[str(EXT)],
            compiler_directives=directives,
            quiet=True,
        )[0]
        ext.sources = made.sources
        headers = [*EXT.glob("*.h"), *EXT.glob("*.pxd")]
        ext.depends = [*made.depends, str(self.archive), str(self.flags), *map(str, headers)]
        ext.include_dirs = [*ext.include_dirs, str(EXT), *self.codecs.include_dirs]
        ext.extra_compile_args = [*compile_flags(), *(["-DOCCY_SYSTEM_CODECS"] if SYSTEM else [])]
        ext.extra_objects = [str(self.archive)]
        ext.extra_link_args = [*self.codecs.link, *link_flags()]
        super().build_extension(ext)

    def copy_extensions_to_source(self) -> None:
        """Put each module into the source tree by rename, so that a process which has the old one mapped keeps it."""
        for ext in self.extensions:
            built = Path(self.build_lib, self.get_ext_filename(self.get_ext_fullname(ext.name)))
            target = ROOT / "src" / self.get_ext_filename(self.get_ext_fullname(ext.name))
            if target.exists() and target.read_bytes() == built.read_bytes():
                continue
            scratch = target.with_name(f".{target.name}.new")
            shutil.copy(built, scratch)
            os.replace(scratch, target)


class BuildFuzzTargets(Command):
    """Build tests/fuzz/*_target.c on the archive: with a fuzzer around each, or to run it once for each file named."""

    user_options: ClassVar[list[tuple[str, str | None, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        if not FUZZ:
            raise BuildError("set OCCY_FAST_FUZZ=1 to build fuzz targets")

    def run(self) -> None:
        with only_one_build():
            codecs = pinned_codecs()
            archive = native_archive(codecs)
            fuzzing = bool(coverage_flags())
            directory = BUILD / ("fuzz" if fuzzing else "replay")
            directory.mkdir(exist_ok=True)
            includes = [f"-I{EXT}", *(flag for path in codecs.include_dirs for flag in ("-isystem", path))]
            sources = sorted((ROOT / "tests" / "fuzz").glob("*_target.c"))
            extra = ["-fsanitize=fuzzer"] if fuzzing else [str(ROOT / "tests" / "fuzz" / "replay.c")]
            for source in sources:
                target = directory / source.stem.removesuffix("_target")
                command = [*compiler(), "-std=gnu11", *compile_flags(), "-Wall", "-Wextra", *includes, str(source)]
                command += [*extra, str(archive), "-fsanitize=address,undefined", "-pthread", "-o", str(target)]
                run(command, str(source.relative_to(ROOT)))


class WheelWithMaterials(bdist_wheel):
    """Put the bill of materials beside the metadata (PEP 770)."""

    def write_wheelfile(self, wheelfile_base: str, *generator: str) -> None:
        super().write_wheelfile(wheelfile_base, *generator)
        target = Path(wheelfile_base, "sboms", f"{self.distribution.get_name()}.cdx.json")
        target.parent.mkdir(exist_ok=True)
        target.write_text(bill_of_materials(self.distribution))


def bill_of_materials(distribution: Distribution) -> str:
    """Describe a wheel that is built here and now."""
    sys.path.insert(0, str(ROOT / "wheels"))
    from Cython import __version__ as cython
    from sbom import Part, document

    generated = Part("Cython", cython, "Apache-2.0", f"pkg:pypi/cython@{cython}")
    linked = [
        Part(each.library, each.library_version, each.licence, each.purl, each.sha256, each.file_name, patches)
        for each, patches in ((ISAL, tuple(patch.path for patch in ISAL_PATCHES)), (ZSTD, ()))
    ]
    wanted = sorted(re.fullmatch(r"([\w.-]+)\s*(.*)", line).groups() for line in distribution.install_requires)
    name, version = distribution.get_name(), distribution.get_version()
    licence = distribution.metadata.license_expression
    return document(name, version, licence, [*([] if SYSTEM else linked), generated], wanted)


def kernel(name: str) -> Extension:
    limited = [] if FREE_THREADED else [("Py_LIMITED_API", "0x030B0000")]
    return Extension(
        f"occy_fast.kernels.native.{name}",
        [f"ext/{name}.pyx"],
        define_macros=limited,
        py_limited_api=not FREE_THREADED,
    )


setup(
    cmdclass={"build_ext": BuildKernels, "build_fuzz_targets": BuildFuzzTargets, "bdist_wheel": WheelWithMaterials},
    ext_modules=[kernel(name) for name in KERNELS],
    options={} if FREE_THREADED else {"bdist_wheel": {"py_limited_api": "cp311"}},
)
