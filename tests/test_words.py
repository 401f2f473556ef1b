"""Text for people: rates, times and counts; nothing for a terminal to obey; commands that can be pasted."""

from __future__ import annotations

import shutil
import subprocess
import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from occy_fast.words import format_count, format_rate, format_seconds, format_size, printable, shell_command

ANYTHING = st.text(st.characters(exclude_categories=()) | st.sampled_from("\n\r\x1b\x85\u2028\u202e\udc80"))


@given(ANYTHING | st.binary())
def test_printable_leaves_nothing_to_obey(text: str | bytes) -> None:
    shown = printable(text)
    bad = {"Cc", "Zl", "Zp", "Cs"}
    assert not [letter for letter in shown if unicodedata.category(letter) in bad]
    assert not set(shown) & set("\u061c\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
    assert len(shown.splitlines()) <= 1
    shown.encode()
    assert printable(shown) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain ünïcode", "plain ünïcode"),
        ("\x1b[31mred\n", "\\x1b[31mred\\x0a"),
        (b"a\xff\x00", "a\\xff\\x00"),
        ("\u202egnp", "\\u202egnp"),
        ("\ud800", "\\ud800"),
        ("\u200b", "\\u200b"),
        ("\x7f\x85\u2028\u2066", "\\x7f\\x85\\u2028\\u2066"),
        ("a\U000e0041", "a\\U000e0041"),
    ],
)
def test_printable(text: str | bytes, shown: str) -> None:
    assert printable(text) == shown


def test_a_long_text_is_cut() -> None:
    assert printable("x" * 100, 10) == "x" * 10 + "…"


SHELLS = [shell for shell in ("bash", "zsh", "ksh") if shutil.which(shell)]


@pytest.mark.parametrize("shell", SHELLS)
@settings(max_examples=25)
@given(st.lists(ANYTHING.filter(lambda text: "\0" not in text), min_size=1, max_size=20))
@example(["a b", "it's", "\\", "\n1", "\x1b[2J", "é\u2028é", "\udcff", "$(id)", "`id`", "-n", "", "\x7f\x85'\\n"])
def test_a_command_is_read_as_its_arguments(shell: str, arguments: list[str]) -> None:
    whole = [text for text in arguments if not any(0xD800 <= ord(letter) < 0xDC80 for letter in text)]
    whole = [text for text in whole if not any(0xDD00 <= ord(letter) < 0xE000 for letter in text)]
    line = shell_command(["printf", "%s\\0", *whole])
    assert printable(line) == line
    environment = {"LC_ALL": "C.UTF-8", "PATH": "/bin"}
    found = subprocess.run([shell, "-c", line], capture_output=True, check=True, env=environment)
    expected = [text.encode("utf-8", "surrogateescape") for text in whole]
    assert found.stdout.split(b"\0")[:-1] == (expected or [b""])


def test_what_needs_no_quotes_has_none() -> None:
    assert shell_command(["occy-fast", "convert", "oci:a b", "it's"]) == """occy-fast convert 'oci:a b' 'it'"'"'s'"""
    assert shell_command(["a\nb'\x1b\x01"]) == r"$'a\nb\'\033\001'"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.00 s"),
        (0.421, "0.42 s"),
        (9.996, "10.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
    ],
)
def test_seconds(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


def test_rate_of_no_time_is_not_infinite() -> None:
    assert format_rate(1_000_000, 0) == "-"
    assert format_rate(1_000_000, 0.5) == "2.0 MB/s"


def test_count_knows_the_plural() -> None:
    assert [format_count(count, "layer") for count in (0, 1, 1200)] == ["0 layers", "1 layer", "1,200 layers"]


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (999_949, "999.9 kB"),
        (999_950, "1.0 MB"),
        (999_999_999, "1.0 GB"),
        (10**12 - 1, "1.0 TB"),
        (5 * 10**15, "5000.0 TB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert format_size(size) == text
