from __future__ import annotations

import pickle

from occy_fast.errors import OccyError
from occy_fast.image.finding import Finding
from occy_fast.image.place import Place


def test_findings_compare_by_what_they_say() -> None:
    place = Place("config")
    one, two = (Finding("error", place, "broken", error=error) for error in (None, OccyError("here", "broken")))
    assert one == two
    assert len({one, two}) == 1
    assert str(pickle.loads(pickle.dumps(two)).error) == str(two.error)


def test_a_finding_is_printed_as_one_line() -> None:
    """What an image says cannot act upon a terminal, nor look like another finding."""
    finding = Finding("warning", Place("member", name="a\x1b[2J"), "'x\ny' is odd", rule="odd-name")
    assert str(finding) == "warning: odd-name: a\\x1b[2J: 'x\\x0ay' is odd"
    assert str(Finding("error", Place("config"), "broken")) == "error: config: broken"


def test_where_nothing_else_is_said_messages_call_the_place_by_its_text() -> None:
    assert Finding("warning", Place("layer", number=2), "odd").where == "layer 2"
    assert Finding("warning", Place("layer", number=2), "odd", "oci:x layer 2").where == "oci:x layer 2"
