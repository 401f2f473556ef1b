"""The structure of the tree, which no single module's test can show."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "occy_fast"

# An import may go to the left only.
ORDER = ["version", "schema", "words", "log", "closing", "errors", "spec", "kernels", "streams", "image", "context"]
ORDER += ["transforms", "targets", "planning", "engine", "files", "transports", "running", "api", "cli"]
FORBIDDEN = {"planning": {"streams", "kernels"}, "files": {"planning", "engine"}}
FOR_TYPES_ALONE = {"errors": {"spec", "image"}}  # what an error carries: digests, and the place it is about
BANNED = {"util", "utils", "helper", "helpers", "manager", "info", "data", "process"}

MODULES = sorted(PACKAGE.rglob("*.py"))
NATIVE = sorted(path.stem for path in (ROOT / "ext").glob("*.pyx"))


def name_of(path: Path) -> str:
    """Return the dotted name of the module in *path*."""
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def part_of(module: str) -> str | None:
    """Return which part of ORDER *module* belongs to."""
    words = module.split(".")
    return words[1] if words[0] == "occy_fast" and len(words) > 1 else None


def guarded(tree: ast.Module) -> set[ast.AST]:
    """Return the nodes that only a type checker sees."""
    blocks = [node for node in ast.walk(tree) if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return {inner for block in blocks for statement in block.body for inner in ast.walk(statement)}


def imports_of(path: Path, *, types: bool = True) -> Iterator[str]:
    """Yield every module of ours that *path* imports, also inside functions and, if *types*, for types only."""
    package = name_of(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    tree = ast.parse(path.read_text())
    skipped = set() if types else guarded(tree)
    for node in set(ast.walk(tree)) - skipped:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            target = ".".join([*base, *([node.module] if node.module else [])])
            yield target
            yield from (f"{target}.{alias.name}" for alias in node.names)


def tracked_files() -> list[Path]:
    """Return the files that are, or would be, under version control."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, capture_output=True, check=True).stdout.split(b"\0")
    return [path for name in names if name and (path := ROOT / name.decode()).is_file()]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_imports_point_one_way(path: Path) -> None:
    part = part_of(name_of(path))
    if part not in ORDER:
        assert path.name in ("__init__.py", "__main__.py"), f"{path} belongs to no part"
        return
    allowed = set(ORDER[: ORDER.index(part) + 1]) - FORBIDDEN.get(part, set())
    at_run_time = {found for module in imports_of(path, types=False) if (found := part_of(module)) in ORDER}
    assert at_run_time <= allowed, f"{name_of(path)} may not import {sorted(at_run_time - allowed)}"
    anywhere = {found for module in imports_of(path) if (found := part_of(module)) in ORDER}
    allowed |= FOR_TYPES_ALONE.get(part, set())
    assert anywhere <= allowed, f"{name_of(path)} may not import {sorted(anywhere - allowed)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_nothing_inside_imports_the_public_names(path: Path) -> None:
    """They stand above every part: `from occy_fast import X` is for a part X alone."""
    fronts = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
    names = {alias.name for node in fronts if node.module == "occy_fast" and not node.level for alias in node.names}
    assert names <= set(ORDER)


def test_no_module_imports_itself_by_way_of_others() -> None:
    """Also where the import stands in a function: what is imported late is imported all the same."""
    names = {name_of(path) for path in MODULES}
    graph = {name_of(path): names & set(imports_of(path, types=False)) - {"occy_fast"} for path in MODULES}
    while leaves := {name for name, imported in graph.items() if not imported & graph.keys() - {name}}:
        for name in leaves:
            del graph[name]
    # what is left is in a circle, or imports one
    assert not graph, "\n".join(f"{name} -> {', '.join(sorted(graph[name] & graph.keys()))}" for name in sorted(graph))


# Where an import of ours may stand in a function: the table of transports, and commands, which load what they use when
# they run, as help and completion answer without it (convert --help takes half the time so).
LAZY = ("cli/", "transports/opening.py")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_imports_stand_at_the_top(path: Path) -> None:
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    late = {
        ast.unparse(inner)
        for function in functions
        for inner in ast.walk(function)
        if isinstance(inner, ast.Import | ast.ImportFrom) and "occy_fast" in ast.unparse(inner)
    }
    assert not late or str(path.relative_to(PACKAGE)).startswith(LAZY), f"{path}: {sorted(late)}"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_nobody_takes_the_usual_limits_for_want_of_others(path: Path) -> None:
    """A parameter or field with the default LIMITS is one that a caller can forget: what he was given is lost then."""
    tree = ast.parse(path.read_text())
    defaults = [
        default
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for default in (*node.args.defaults, *node.args.kw_defaults)
        if default is not None
    ]
    fields = [
        inner.value
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for inner in node.body
        if isinstance(inner, ast.AnnAssign) and inner.value is not None
    ]
    found = [node.lineno for node in (*defaults, *fields) if re.search(r"\bLIMITS\b", ast.unparse(node))]
    assert not found, f"{path}: lines {found}"


# What others know of transports: the protocols, locators, and the table that opens them.
TRANSPORTS_SHOW = {"base", "locator", "opening"}


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_no_transport_is_known_outside_its_room(path: Path) -> None:
    """A registry is a row in the table and a folder, as nobody else asks which transport a locator names."""
    if part_of(name_of(path)) == "transports":
        return
    rooms = {module.split(".")[2] for module in imports_of(path) if module.startswith("occy_fast.transports.")}
    assert rooms <= TRANSPORTS_SHOW, f"{path}: {sorted(rooms - TRANSPORTS_SHOW)}"
    asked = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)]
    assert not any(node.attr == "transport" for node in asked), f"{path} asks a locator for its transport"


def test_every_part_exists() -> None:
    parts = {path.stem for path in PACKAGE.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    assert parts - {"__init__", "__main__"} == set(ORDER)


def test_design_md_draws_the_tree_there_is() -> None:
    """Its parts are those of ORDER; of a folder whose modules it lists, it lists all, and no other."""
    text = (ROOT / "docs" / "design.md").read_text()
    parts = re.search(r"^\| part \|.*\n(?:\|.*\n)+", text, re.MULTILINE)
    assert parts
    assert re.findall(r"^\| `(\w+)` \|", parts[0], re.MULTILINE) == ORDER
    listed: dict[str, set[str]] = {}
    for cell in re.findall(r"^\| (\*\*\S+/\*\*|`\S+\.py`.*?) \|", text, re.MULTILINE):
        if cell.startswith("*"):
            folder = listed.setdefault(cell.strip("*/"), set())
        else:
            folder.update(re.findall(r"`(\S+)\.py`", cell))
    assert "planning" in listed
    for folder, modules in listed.items():
        there = {path.stem for path in (PACKAGE / folder).glob("*.py")} - {"__init__"}
        assert modules == there, f"docs/design.md, {folder}: {sorted(modules ^ there)} are in one place alone"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_a_module_says_its_job_in_one_sentence(path: Path) -> None:
    summary = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n\n")[0].replace("\n", " ")
    summary = re.sub(r"\s+\([^()]*\)$", "", summary)          # where the specification says so
    assert summary.endswith("."), f"{path}: {summary!r}"
    assert summary.count(". ") == 0, f"{path}: {summary!r} is more than one sentence"
    assert "and also" not in summary, f"{path}: {summary!r} is two jobs"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_nothing_has_a_name_that_says_nothing(path: Path) -> None:
    defined = [path.stem, *(part.name for part in path.relative_to(PACKAGE).parents if part.name)]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            defined.append(node.name)
    assert not BANNED & {name.lower().strip("_") for name in defined}


# Who writes to a stream or makes a logger, and escapes it; a shell's completer reads names as they are.
WRITERS = {"cli/output.py", "cli/logs.py", "cli/completion.py", "__main__.py", "log.py"}
WRITING = re.compile(r"^print\(|\becho\(|std(?:out|err)\.(?:write|buffer)|\bgetLogger\(|\bwarnings\.warn\(")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_text_leaves_through_the_border_that_escapes_it(path: Path) -> None:
    if str(path.relative_to(PACKAGE)) in WRITERS:
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    found = [text for node in calls if WRITING.search(text := f"{ast.unparse(node.func)}(")]
    assert not found, f"{name_of(path)} writes by itself: {found}"


def test_every_native_kernel_is_in_the_table() -> None:
    from occy_fast import kernels

    assert sorted(kernels.KERNELS) == NATIVE


# What both twins of a kernel offer, and tests alone ask for: the parts that vectors of other projects are about.
OF_KERNELS = {"parse_number", "parse_time", "JOBS"}


def test_nothing_is_kept_that_nothing_uses() -> None:
    """A name at the top of a module is used somewhere in src besides its own body, or is in the table of public names.

    What only tests use belongs to them.
    """
    defined: dict[str, str] = {}
    used: set[str] = set(OF_KERNELS)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            names = {target.id for target in targets if isinstance(target, ast.Name)}
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                names = {node.name}
            defined |= dict.fromkeys(names, f"{path.relative_to(PACKAGE)}")
            if names != {"__all__"} or path.parent == PACKAGE:
                used |= set(words_in(node)) - names
    unused = sorted(f"{place}: {name}" for name, place in defined.items() if name not in used)
    assert not [name for name in unused if not re.search(": __", name)]


def words_in(node: ast.AST) -> Iterator[str]:
    """Yield every name, attribute and word of a string in *node*, docstrings and what is only imported aside."""
    prose = {id(inner.value) for inner in ast.walk(node) if isinstance(inner, ast.Expr)}
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Load):
            yield inner.id
        elif isinstance(inner, ast.Attribute):
            yield inner.attr
        elif isinstance(inner, ast.Constant) and isinstance(inner.value, str) and id(inner) not in prose:
            yield from re.findall(r"\w+", inner.value)


# Larger than the rest, with the reason.
LARGE_MODULES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def test_python_is_read_a_screen_at_a_time() -> None:
    """No module above 400 lines, no function above 60, decorators aside: those of a command are its options."""
    modules, functions = set(), set()
    for path in MODULES:
        place, text = str(path.relative_to(PACKAGE)), path.read_text()
        if len(text.splitlines()) > 400:
            modules.add(place)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno >= 60:
                functions.add(f"{place}: {node.name}")
    # both ways: what is short again is no exception any more
    assert modules == LARGE_MODULES.keys()
    assert functions == LONG_FUNCTIONS.keys()


@pytest.mark.parametrize("path", sorted((ROOT / "ext").glob("*.[ch]")), ids=lambda path: path.name)
def test_c_is_read_a_screen_at_a_time(path: Path) -> None:
    lines = path.read_text().splitlines()
    assert len(lines) <= 700
    bodies = [number for number, line in enumerate(lines, 1) if line == "{"]
    for opened in bodies:
        length = lines[opened:].index("}") + 2
        assert length <= 60, f"{path.name}:{opened}: {lines[opened - 2]}: {length} lines"


@pytest.mark.parametrize("name", NATIVE)
def test_a_kernel_has_a_stub_and_a_twin_of_equal_signatures(name: str) -> None:
    """The stub stands for the native side here: mypy's stubtest compares it with what was built."""
    stub = interface(PACKAGE / "kernels" / "native" / f"{name}.pyi")
    twin = interface(PACKAGE / "kernels" / "pure" / f"{name}.py")
    assert set(stub) == set(twin)
    for each, (parameters, attributes) in stub.items():
        for function, expected in parameters.items():
            assert same_parameters(expected, twin[each][0].get(function)), f"{name}: {each}.{function}"
        private = {"__init__"} - set(parameters)           # an object that only its own module makes
        assert set(twin[each][0]) - private == set(parameters), f"{name}: {each}"
        assert attributes <= twin[each][1], f"{name}: {each} lacks {attributes - twin[each][1]}"


Interface = dict[str, tuple[dict[str, ast.arguments], set[str]]]


def interface(path: Path) -> Interface:
    """Return class → (method → its parameters, attributes) of *path*; the module itself is the class ""."""
    tree = ast.parse(path.read_text())
    scopes = {"": tree.body}
    scopes |= {node.name: node.body for node in tree.body if isinstance(node, ast.ClassDef) and public(node.name)}
    found: Interface = {}
    for scope, body in scopes.items():
        functions = [node for node in body if isinstance(node, ast.FunctionDef) and public(node.name)]
        properties = {node.name for node in functions if "property" in map(ast.unparse, node.decorator_list)}
        assigned = {ast.unparse(node.target) for node in body if isinstance(node, ast.AnnAssign)}
        assigned |= {ast.unparse(target) for node in body if isinstance(node, ast.Assign) for target in node.targets}
        targets = [text for node in body for text in assigned_in(node)]
        assigned |= {text.removeprefix("self.") for text in targets if text.startswith("self.")}
        parameters = {node.name: node.args for node in functions if node.name not in properties}
        found[scope] = (parameters, {name for name in properties | assigned if public(name)})
    return found


def assigned_in(node: ast.AST) -> Iterator[str]:
    """Yield every target of an assignment anywhere in *node*."""
    for inner in ast.walk(node):
        for target in getattr(inner, "targets", [getattr(inner, "target", None)]):
            for each in target.elts if isinstance(target, ast.Tuple) else [target]:
                if each is not None:
                    yield ast.unparse(each)


def public(name: str) -> bool:
    return not name.startswith("_") or name == "__init__"


def same_parameters(stub: ast.arguments, twin: ast.arguments | None) -> bool:
    """Compare names, kinds and defaults; `...` in a stub stands for a default that is no literal."""
    if twin is None:
        return False
    kinds = ("posonlyargs", "args", "kwonlyargs")
    names = [[argument.arg for argument in getattr(side, kind)] for side in (stub, twin) for kind in kinds]
    open_ended = [[side.vararg is None, side.kwarg is None] for side in (stub, twin)]
    if names[:3] != names[3:] or open_ended[0] != open_ended[1]:
        return False
    defaults = zip([*stub.defaults, *stub.kw_defaults], [*twin.defaults, *twin.kw_defaults], strict=True)
    return all(
        (left is None) == (right is None)
        and (left is None or right is None or ast.unparse(left) in ("...", ast.unparse(right)))
        for left, right in defaults
    )


@pytest.mark.parametrize("name", NATIVE)
def test_native_was_really_loaded(name: str) -> None:
    from occy_fast import kernels

    module = getattr(kernels, name)
    assert kernels.SIDE == "native"
    assert module.__name__ == f"occy_fast.kernels.native.{name}"
    assert str(module.__file__).endswith(".so")


def test_public_names_resolve() -> None:
    package = importlib.import_module("occy_fast")
    for name in package.__all__:
        assert inspect.getdoc(getattr(package, name)), f"occy_fast.{name} says nothing about itself"


# Whose test has another name, by the beginnings of their paths.
TESTED_BY = {
    "kernels/pure/build_facts.py": "test_build.py",
    "kernels/pure/": "kernels/",                     # both twins by the same tests
    "errors/": "test_errors.py",                     # of one tree
}


def has_code(path: Path) -> bool:
    """Tell whether *path* does anything: a table, a value of fields or a protocol has no test of its own."""
    functions = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.FunctionDef)]
    return any(not isinstance(node.body[-1], ast.Expr) for node in functions)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: name_of(path))
def test_a_module_has_its_test_under_its_name(path: Path) -> None:
    place = path.relative_to(PACKAGE)
    if path.stem.startswith("__") or not has_code(path):
        return
    named = str(place.with_name(f"test_{place.name}"))
    for begin, instead in TESTED_BY.items():
        if str(place).startswith(begin):
            named = f"{instead}test_{place.name}" if instead.endswith("/") else instead
            break
    assert (ROOT / "tests" / named).exists(), f"tests/{named} is not there"


# Beside tests there are only what they share and programs: `make faults`, `make damage`, what a test runs by its path.
TEST_FILE = re.compile(r"test_\w+\.py|conftest\.py|architecture_test\.py|support/\w+\.py")


def test_what_tests_share_is_in_support() -> None:
    tests = ROOT / "tests"
    others = [path for path in tests.rglob("*.py") if not TEST_FILE.search(str(path.relative_to(tests)))]
    assert [str(path) for path in others if "__main__" not in path.read_text()] == []


# Put together here so that this file does not contain them.
PLACES = ["/wo" + "rk/", "/tm" + "p/w/", "/ro" + "ot/"]
HOSTS = [r"pyp" + r"i\.org", r"pythonho" + r"sted\.org"]
PRIVATE = re.compile("|".join(PLACES + HOSTS))


def test_no_file_knows_a_machine_or_a_package_host() -> None:
    found = []
    for path in tracked_files():
        for number, line in enumerate(path.read_bytes().decode(errors="replace").splitlines(), 1):
            if PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {line.strip()[:100]}")
    assert not found, "\n".join(found)


def calls_of(name: str) -> set[str]:
    """Return the modules that call what is named so, apart from the one that defines it."""
    return {
        str(path.relative_to(PACKAGE))
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == name
    }


def test_a_layer_is_passed_over_in_one_place() -> None:
    assert calls_of("LayerPass") == {"engine/layer_job.py"}


# fix.py makes a command's text, and asks whether the command will take it.
PARSING = {"api.py", *(f"running/{name}.py" for name in ("check", "execute", "fix", "inspect", "verify"))}


def test_locators_are_parsed_at_the_border() -> None:
    assert {module for module in calls_of("parse_locator") if not module.startswith("cli/")} == PARSING


# What a Call is made of. A layer under way is waited for by native code's own words.
OF_A_CALL = {"limits", "max_layer", "workers", "access", "cancel", "cancelled", "progress"}
PUBLIC = {"check", "convert", "execute", "inspect", "open_image", "plan", "recompress", "verify"}
BORDER = {"context/call.py: of", "context/call.py: limits_of_call"} | {
    f"streams/layer_pass.py: {name}" for name in ("hand_over", "wait", "_work")
}


def test_what_a_call_may_take_is_handed_down_as_one_value() -> None:
    several = set()
    for path in MODULES:
        place = str(path.relative_to(PACKAGE))
        if place.startswith("cli/"):
            continue
        public = PUBLIC if place.startswith(("api", "running/")) else set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name not in public:
                parameters = {each.arg for each in (*node.args.args, *node.args.kwonlyargs)}
                if len(parameters & OF_A_CALL) > 1:
                    several.add(f"{place}: {node.name}")
    assert several == BORDER
