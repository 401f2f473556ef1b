"""The words of problems are those that the table of verdicts has."""

from __future__ import annotations

import json
from importlib.resources import files

from occy_fast.kernels.unpack_problems import Unpacker, UnpackKind


def test_the_table_knows_every_kind_and_no_other() -> None:
    table = json.loads(files("occy_fast.targets").joinpath("unpacking.json").read_bytes())
    asked = [feature.split(".") for feature in table["cells"]]
    assert {way for _, way, _ in asked} == {(way.name or "").lower() for way in Unpacker}
    assert {word for _, _, word in asked} == {kind.word for kind in UnpackKind}
