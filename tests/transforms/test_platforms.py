"""An index is told the platforms of its entries."""

from __future__ import annotations

import pickle
from typing import Any

from occy_fast.spec.platform import Platform
from occy_fast.transforms.platforms import Platforms

EDIT = Platforms(((1, Platform("linux", "arm64", "v8")),))


def test_only_the_entries_that_are_named_change() -> None:
    index: dict[str, Any] = {"manifests": [{"digest": "a"}, {"digest": "b", "platform": {"os": "unknown"}}]}
    EDIT.edit_index(index)
    assert index == {
        "manifests": [
            {"digest": "a"},
            {"digest": "b", "platform": {"os": "linux", "architecture": "arm64", "variant": "v8"}},
        ]
    }
    manifest: dict[str, Any] = {"layers": []}
    EDIT.edit_manifest(manifest)
    assert manifest == {"layers": []}


def test_it_is_a_value() -> None:
    assert pickle.loads(pickle.dumps(EDIT)) == EDIT
    assert hash(EDIT) == hash(Platforms(EDIT.said))
