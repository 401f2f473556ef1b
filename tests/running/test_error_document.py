"""An error as JSON: its fields by name, plain and printable, and what to do."""

from __future__ import annotations

from occy_fast.errors import AmbiguousReference, BadReference, Unsupported
from occy_fast.running.error_document import error_document, known_fields


def test_fields_are_plain() -> None:
    document = error_document(AmbiguousReference("a\x1b", "several", ("one\n", "two"), "choose"))
    assert document == {
        "name": "AmbiguousReference",
        "message": document["message"],
        "where": "a\\x1b",
        "problem": "several",
        "candidates": ["one\\x0a", "two"],
        "remedy": "choose",
        "exit_code": AmbiguousReference.exit_code,
    }
    assert "\x1b" not in str(document["message"])


def test_a_field_called_name_is_not_the_errors_own() -> None:
    document = error_document(BadReference("App:1", "capitals"))
    assert document["name"] == "BadReference"
    assert "App:1" in document.values()


def test_what_is_not_known_is_left_out() -> None:
    assert known_fields(Unsupported("", "zstd")) == {"problem": "zstd"}


def test_an_error_that_is_not_ours_has_the_code_it_is_given() -> None:
    assert error_document(KeyboardInterrupt(), 130) == {
        "name": "KeyboardInterrupt",
        "message": "interrupted",
        "exit_code": 130,
    }
    assert error_document(Unsupported("", "zstd"), 130)["exit_code"] == Unsupported.exit_code
