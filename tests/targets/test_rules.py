"""The table of rules: what planning, check and traits name is in it, and nowhere else."""

from __future__ import annotations

import ast
import json
from importlib.resources import files
from pathlib import Path

import occy_fast
from occy_fast.spec.encoding import CODECS
from occy_fast.targets import rules
from occy_fast.targets.rules import TraitRule

PACKAGE = Path(occy_fast.__file__).parent


def table() -> list[TraitRule]:
    """Return every rule."""
    found: list[TraitRule] = []
    for value in vars(rules).values():
        found += [value] if isinstance(value, TraitRule) else value.values() if isinstance(value, dict) else []
    return [rule for rule in found if isinstance(rule, TraitRule)]


def known_features() -> set[str]:
    """Return what the matrix, or a test of a loader, has an answer for."""
    folder = files("occy_fast.targets")
    names = ("matrix.json", "loading.json", "configs.json")
    matrix, *tested = (json.loads(folder.joinpath(name).read_bytes()) for name in names)
    known = {feature for row in matrix["targets"].values() for feature in row["cells"]}
    return known.union(*(document["cells"] for document in tested))


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.id for rule in table()]
    assert len(names) > 50
    assert len(set(names)) == len(names)
    assert str(rules.LAYER_MISSING) == "layer-missing"


def test_what_is_wrong_in_itself_no_conversion_changes() -> None:
    assert [rule.id for rule in table() if rule.fatal and rule.convertible] == []


def test_of_what_is_not_fatal_somebody_may_have_an_answer() -> None:
    """A misspelt feature would be unknown for every target, and never told."""
    known = known_features() | {rules.LAYER_TYPE.feature, rules.UNPACK_UNKNOWN.feature}    # of which nobody knows
    assert {rule.feature for rule in table() if not rule.fatal} - known == set()


def test_of_every_codec_targets_are_asked_what_somebody_may_have_an_answer_for() -> None:
    assert rules.CODEC_FEATURES.keys() == rules.LAYER_ENCODING.keys() == rules.WHOLE.keys() | {"none"} == CODECS.keys()
    for features in rules.CODEC_FEATURES.values():
        asked = {features.archive, features.dual, features.pulled_as("oci"), features.pulled_as("docker")}
        assert asked - {""} <= known_features()


def test_nothing_else_writes_the_name_of_a_rule() -> None:
    names = {rule.id for rule in table()} - {"windows", "subject", "unreadable"}   # words for other things as well
    for path in PACKAGE.rglob("*.py"):
        if path != Path(rules.__file__):
            texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
            assert not names & {text for text in texts if isinstance(text, str)}, path


def test_every_rule_is_used() -> None:
    attributes = {name for name, value in vars(rules).items() if isinstance(value, TraitRule | dict | frozenset)}
    others = (path for path in PACKAGE.rglob("*.py") if path != Path(rules.__file__))
    used = "\n".join(path.read_text() for path in others)
    assert {name for name in attributes if name.isupper() and name not in used} == set()
