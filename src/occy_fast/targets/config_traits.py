"""What a target's decoders refuse in image configs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final, Literal

from occy_fast.image.go_decoding import Refusal, find_refusal
from occy_fast.targets import rules
from occy_fast.targets.config_structs import STRUCTS
from occy_fast.targets.traits import Trait

if TYPE_CHECKING:
    from occy_fast.image.place import Place
    from occy_fast.targets.rules import TraitRule
    from occy_fast.targets.target import Target

Form = Literal["archive", "layout"]
"""What a config is read from: a docker-archive, or blobs by digest, as those of a layout or a registry."""

Configs = Iterable[tuple["Place", str, bytes]]
"""For each config its place, the path that an archive has it under, and its bytes."""

_AT_RUN: Final = "it is loaded, but no container can be made of it: "


class ConfigReader:
    """Decodes configs as consumers do, each into each struct once."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], Refusal | None] = {}

    def traits(self, configs: Configs, form: Form, target: Target) -> Iterator[Trait]:
        """Yield the first thing in each config that *target* refuses, or that nobody knows about."""
        for place, path, raw in configs:
            trait = self._first(place, path, raw, form, target)
            if trait is not None:
                yield trait

    def _first(self, place: Place, path: str, raw: bytes, form: Form, target: Target) -> Trait | None:
        warning = None
        for rule, stage in ((rules.CONFIG_FIELD, form), (rules.CONFIG_RUN, "run")):
            for name in STRUCTS:
                feature = f"config.{stage}-{name}"
                answer = target.support(feature).answer
                if answer not in ("no", "partial"):
                    continue
                refusal = self._refusal(raw, name)
                if refusal is not None and (answer == "no" or warning is None):
                    trait = _trait(rule, place, path, refusal, feature)
                    if answer == "no":
                        return trait
                    warning = trait
        if warning is None and not knows_configs(target):
            found = (self._refusal(raw, name) for name in STRUCTS)
            if refusal := next((refusal for refusal in found if refusal is not None), None):
                return _trait(rules.CONFIG_FIELD, place, path, refusal, "")
        return warning

    def _refusal(self, raw: bytes, name: str) -> Refusal | None:
        key = (raw, name)
        if key not in self._known:
            self._known[key] = find_refusal(raw, STRUCTS[name])
        return self._known[key]


def knows_configs(target: Target) -> bool:
    """Tell whether it is known what *target* decodes configs into."""
    return any(feature.startswith("config.") for feature, _ in target.supports)


def _trait(rule: TraitRule, place: Place, path: str, refusal: Refusal, feature: str) -> Trait:
    if not refusal.expected:
        problem = f"no JSON: {refusal.says}"
    elif not refusal.path:
        problem = f"{refusal.found}, where an object is expected"
    else:
        problem = f"{refusal.path} is {refusal.found}, and should be {refusal.expected}"
    if rule is rules.CONFIG_RUN:
        problem = _AT_RUN + problem
    words = (("path", path), ("error", refusal.says))
    return Trait(rule, place, problem, words, feature)
