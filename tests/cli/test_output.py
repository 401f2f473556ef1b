"""The answer reaches stdout whole, or the failure to write it is told."""

from __future__ import annotations

import io
import json
import os
import re
import sys

import pytest

from occy_fast.cli.output import format_table, print_json, print_lines, print_note
from occy_fast.errors import OutputError


def test_what_the_terminal_cannot_show_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))
    print_lines("a → b")
    assert raw.getvalue() == b"a \\u2192 b\n"


def test_a_line_stays_one_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_lines("one\ntwo", "three \x1b[31m\udcff\u2028", "")
    print_note("four\r\nfive", "six")
    out, err = capsys.readouterr()
    assert out == "one\\x0atwo\nthree \\x1b[31m\\xff\\u2028\n\n"
    assert err == "four\\x0d\\x0afive\nsix\n"


def test_json_survives_a_name_that_is_no_utf8(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json({"name": "a\udcff"})
    assert capfdbinary.readouterr().out == b'{\n  "name": "a\\udcff"\n}\n'


def test_json_is_exact_and_harmless(capsys: pytest.CaptureFixture[str]) -> None:
    text = "".join(map(chr, [*range(0x300), 0x2028, 0x202E, 0xDC80, 0xE0041]))
    print_json({"text": text})
    out = capsys.readouterr().out
    assert json.loads(out) == {"text": text}
    assert not re.search(r"[^\x20-\x7e\n]", out)


def test_a_closed_stdout_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    print_lines("nobody")
    print_note("nobody")


def test_a_full_disk_under_stdout_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with open("/dev/full", "w", encoding="utf-8") as full:
        monkeypatch.setattr(sys, "stdout", full)
        with pytest.raises(OutputError) as raised:
            print_lines("answer")
    assert raised.value.path == "standard output"


def test_a_reader_that_left_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with open(writing, "w", encoding="utf-8") as torn:
        monkeypatch.setattr(sys, "stdout", torn)
        print_lines("answer")
        print_lines("and another")


def test_table_aligns_and_leaves_no_blanks_behind() -> None:
    lines = format_table(["step", "size"], [["copy", "1 B"], ["recode", "10 B"]], "<>")
    assert lines == ["step    size", "copy     1 B", "recode  10 B"]
    assert format_table(["a", "b"], [["x", ""]], "<<")[1] == "x"
