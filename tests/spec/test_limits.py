"""What a limit itself may be."""

from __future__ import annotations

import ast
import inspect
import pickle
from dataclasses import fields, replace
from pathlib import Path

import pytest

from occy_fast import errors
from occy_fast.errors import ConfigTooLarge, LimitError, ManifestTooLarge, UsageError
from occy_fast.spec.limits import LIMITS, DocumentLimit, Limits, check_limit, check_written

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

DEFAULTS = {
    "layer": 64 * GIB,
    "ratio": 1000,
    "gzip_header": 64 * KIB,
    "zstd_window": 128 * MIB,
    "xz_memory": 128 * MIB,
    "tar_extension": MIB,
    "tar_sparse_map": MIB,
    "tar_extension_count": 16,
    "entry_count": 4_000_000,
    "member_count": 200_000,
    "member_names": 32 * MIB,
    "stream_documents": 24 * MIB,
    "stream_blob_count": 16_384,
    "legacy_documents": 64 * MIB,
    "link_count": 1,
    "manifest": 4 * MIB,
    "docker_manifest": MIB,
    "config": 4 * MIB,
    "layer_count": 4096,
    "index_depth": 8,
    "manifest_count": 10_000,
    "json_depth": 64,
}


def test_the_defaults() -> None:
    assert {field.name: getattr(LIMITS, field.name) for field in fields(Limits)} == DEFAULTS
    assert Limits() == LIMITS == pickle.loads(pickle.dumps(LIMITS))
    assert len({LIMITS, Limits(layer=1)}) == 2


# The least and the most that each may be; the others take 1 to 2**63 - 1.
RANGES = {
    "gzip_header": (10, (1 << 32) - 1),
    "zstd_window": (1024, 1 << 31),
    "tar_extension": (0, (1 << 31) - 1),
    "tar_sparse_map": (0, (1 << 31) - 1),
    "tar_extension_count": (0, (1 << 31) - 1),
    "entry_count": (1, (1 << 31) - 1),
    "link_count": (0, 40),
    "index_depth": (1, 64),
    "json_depth": (1, 256),
}


@pytest.mark.parametrize("name", DEFAULTS)
def test_what_a_limit_may_be(name: str) -> None:
    least, most = RANGES.get(name, (1, (1 << 63) - 1))
    for value in (least, most):
        assert getattr(replace(LIMITS, **{name: value}), name) == value
    wrong: object
    for wrong in (least - 1, most + 1, -1, True, 1.5, "7", None):
        with pytest.raises(
            UsageError, match=f"the {name} limit is '{wrong}' .it takes a number from {least} to {most}"
        ):
            replace(LIMITS, **{name: wrong})  # type: ignore[arg-type]


def test_a_window_is_a_power_of_two() -> None:
    with pytest.raises(UsageError, match=r"the thing is '1025' .*a power of two"):
        check_limit("zstd_window", 1025, "thing")


@pytest.mark.parametrize(
    ("kind", "error"),
    [("manifest", ManifestTooLarge), ("docker_manifest", ManifestTooLarge), ("config", ConfigTooLarge)],
)
def test_a_document_is_held_to_its_limit(kind: DocumentLimit, error: type[LimitError]) -> None:
    limits = Limits(**{kind: 9})
    limits.check_document(kind, 9, "here")
    with pytest.raises(error, match=r"^here: document size: 10 exceeds the limit of 9$") as caught:
        limits.check_document(kind, 10, "here")
    assert caught.value.settings == (kind,)


@pytest.mark.parametrize("kind", ["manifest", "docker_manifest", "config"])
def test_what_is_written_holds_to_the_defaults_and_nothing_raises_them(kind: DocumentLimit) -> None:
    check_written(kind, DEFAULTS[kind], "here")
    with pytest.raises(LimitError, match="size of a document to be written") as caught:
        check_written(kind, DEFAULTS[kind] + 1, "here")
    assert (caught.value.allowed, caught.value.settings) == (DEFAULTS[kind], ())


def test_every_limit_error_names_settings_there_are() -> None:
    """Wherever one is made: `settings` is the last argument, a tuple of fields of Limits, or a name for one."""
    kinds = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, LimitError)}
    known = {field.name for field in fields(Limits)}
    named: set[str] = set()
    source = Path(errors.__file__).parent.parent
    for path in source.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if not (isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in kinds):
                continue
            assert not node.keywords, f"{path}:{node.lineno}"
            settings = node.args[-1]
            if isinstance(settings, ast.Tuple):
                literal = {ast.literal_eval(item) for item in settings.elts}
                assert literal, f"{path}:{node.lineno}: nothing raises this limit"
                assert literal <= known, f"{path}:{node.lineno}: {literal - known}"
                named |= literal
            else:                                    # a table of the kernels
                assert ast.unparse(settings).startswith(("_SETTINGS[", "_TAR_LIMITS")), f"{path}:{node.lineno}"
    assert named >= {"layer", "ratio", "zstd_window", "xz_memory", "member_count", "member_names", "layer_count"}
    assert named >= {"legacy_documents", "stream_blob_count", "index_depth", "manifest_count"}
