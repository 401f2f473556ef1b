"""What can be imported from `occy_fast`: every function of the library, and every class that their signatures reach."""

from __future__ import annotations

import ast
import dataclasses
import importlib
import inspect
import subprocess
import sys
import types
import typing
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import occy_fast

SOURCE = Path(occy_fast.__file__)


@cache
def names_in(module: str) -> dict[str, Any]:
    """Return the names that annotations in *module* may use: its own, and those that only a type checker imports."""
    found = dict(vars(sys.modules[module]))
    for node in ast.parse(inspect.getsource(sys.modules[module])).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                imported = vars(importlib.import_module(statement.module))
                # what the standard library has in its stubs alone, as hashlib's _Hash, is no class of ours
                found |= {alias.asname or alias.name: imported.get(alias.name, Any) for alias in statement.names}
    return found


def annotations_of(value: Any) -> dict[str, Any]:
    kinds = value.__mro__ if inspect.isclass(value) else [value]         # a field may be another module's
    modules = [kind.__module__ for kind in reversed(kinds) if kind.__module__.startswith("occy_fast")]
    names = {name: found for module in modules for name, found in names_in(module).items()}
    return typing.get_type_hints(value, globalns=names, localns={})


def hints_of(value: Any) -> Iterator[Any]:
    """Yield the types that a function's signature has, or a class's fields, properties and public methods."""
    if not inspect.isclass(value):
        yield from annotations_of(inspect.unwrap(value)).values()
        return
    if issubclass(value, BaseException):                    # their fields are listed in the module of all errors
        return
    if dataclasses.is_dataclass(value) or typing.is_typeddict(value):
        yield from annotations_of(value).values()
    for name, member in vars(value).items():
        if name.startswith("_"):
            continue
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if isinstance(function, types.FunctionType):
            yield from annotations_of(function).values()


def classes_in(hint: Any) -> Iterator[type]:
    """Yield the classes of ours inside a type such as `tuple[Layer | None, ...]`."""
    if inspect.isclass(hint) and hint.__module__.startswith("occy_fast"):
        yield hint
    for inner in typing.get_args(hint):
        for each in inner if isinstance(inner, list) else [inner]:      # the parameters of a Callable
            yield from classes_in(each)


def reached() -> dict[type, str]:
    """Return every class of ours that can be reached from the public names, and by which of them."""
    found: dict[type, str] = {}
    waiting = [(getattr(occy_fast, name), name) for name in occy_fast.__all__]
    while waiting:
        value, name = waiting.pop()
        if not callable(value):
            continue
        for hint in hints_of(value):
            for each in classes_in(hint):
                if each not in found:
                    found[each] = name
                    waiting.append((each, each.__name__))
    return found


def test_whatever_a_signature_mentions_can_be_imported() -> None:
    missing = {each.__qualname__: by for each, by in reached().items() if not is_public(each)}
    assert not missing, f"in no list of occy_fast, and mentioned by: {missing}"


def test_no_class_is_exported_that_nobody_can_get() -> None:
    exported = {name for name in occy_fast.__all__ if inspect.isclass(getattr(occy_fast, name))}
    assert exported == {each.__name__ for each in reached()}


def is_public(each: type) -> bool:
    return each.__name__ in occy_fast.__all__ and getattr(occy_fast, each.__name__) is each


def test_the_lists_of_names_agree() -> None:
    """One is for people, one for type checkers, and one says where a name is."""
    (block,) = (node for node in ast.parse(SOURCE.read_text()).body if isinstance(node, ast.If))
    checked = {
        alias.name: node.module
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert checked == occy_fast._HOME
    assert list(checked) == [*dict.fromkeys(checked)]
    assert sorted(checked) == sorted(occy_fast.__all__)
    assert set(occy_fast.__all__) <= set(dir(occy_fast))


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="'occy_fast' has no attribute 'Result'"):
        occy_fast.Result  # noqa: B018


def test_the_package_alone_imports_nothing_of_ours() -> None:
    """A build farm imports it thousands of times; what a name needs is imported with the name."""
    script = "import occy_fast, sys; print(sorted(m for m in sys.modules if m.startswith('occy_fast')))"
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(["occy_fast", "occy_fast.version"])
