"""Text fit to be read: what an image or a daemon says, without secrets, and with all that a terminal obeys escaped."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from typing import Any

# C0, DEL, C1, line and paragraph separators, what reorders or hides text, and surrogates: a terminal obeys some of
# them, and the others mislead a reader.
_UNPRINTABLE = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
    r"\u115f\u1160\u3164\uffa0\U000e0000-\U000e007f]"
)
# Compiled when a URL is first met, which few runs see: that takes longer than all else that an import does here.
# A password may hold what should have been escaped: a slash behind `USER:` begins a path only where a port ends before.
_USERINFO = r"(?<=://)(?:[^/?#\s]*@|(?!\[)[^/?#\s@]+:(?![0-9]*[/?#])[^\s@]*@)"
_QUERY = r"(?<![^\s?#\"'<>])(?=[^\s?#\"'<>]*://)([^\s?#\"'<>]*)\?[^\s\"'<>]*"
_NAMED = {0x07: "a", 0x08: "b", 0x09: "t", 0x0A: "n", 0x0B: "v", 0x0C: "f", 0x0D: "r", 0x27: "'", 0x5C: "\\"}


def printable(text: str | bytes, longest: int | None = None) -> str:
    """Return *text* as one line, everything a terminal could act upon escaped, cut after *longest* characters."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "surrogateescape")
    if longest is not None and len(text) > longest:
        text = text[:longest] + "…"
    return _UNPRINTABLE.sub(_escape, text)


def without_secrets(field: Any) -> Any:
    """Drop user names, passwords and signed queries from the URLs in *field*, a string or a tuple of them.

    A string may be a document of an image: the time grows with its length alone, whatever stands in it.
    """
    if isinstance(field, str) and "://" in field:
        return re.sub(_QUERY, r"\1?…", re.sub(r"\S+", _without_login, field) if "@" in field else field)
    if isinstance(field, tuple):
        return tuple(without_secrets(item) for item in field)
    return field


def _without_login(word: re.Match[str]) -> str:
    head, at, rest = word[0].rpartition("@")         # behind every place the pattern looks at, there is an @ to stop it
    return re.sub(_USERINFO, "…@", head + at) + rest


def shell_command(arguments: Iterable[str]) -> str:
    """Return a command line that a shell reads as *arguments*, in one printable line.

    What cannot stand in such a line is written as bash, zsh, ksh and POSIX.1-2024's sh read it: $'\\n'.
    """
    return " ".join(map(_shell_word, arguments))


def _shell_word(text: str) -> str:
    if not _UNPRINTABLE.search(text):
        return shlex.quote(text)
    return "$'" + "".join(map(_shell_letter, text)) + "'"


def _shell_letter(letter: str) -> str:
    if letter not in "'\\" and not _UNPRINTABLE.match(letter):
        return letter
    if ord(letter) in _NAMED:
        return f"\\{_NAMED[ord(letter)]}"
    # three octal digits end by themselves; a byte that is no UTF-8 is given back as it was
    return "".join(f"\\{byte:03o}" for byte in letter.encode("utf-8", _byte_of(letter)))


def _byte_of(letter: str) -> str:
    return "surrogateescape" if 0xDC80 <= ord(letter) <= 0xDCFF else "surrogatepass"


def _escape(match: re.Match[str]) -> str:
    code = ord(match.group())
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as `surrogateescape` decodes it
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def format_size(size: int) -> str:
    """Print bytes in decimal units: "812 B", "77.8 MB"."""
    if size < 1000:
        return f"{size} B"
    value = float(size)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if round(value, 1) < 1000:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def format_layers(numbers: list[int]) -> str:
    """Print layer numbers: "layer 2", "layers 1-4, 6"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    text = ", ".join(str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs)
    return f"layer{'s' * (len(numbers) > 1)} {text}"


def format_rate(size: int, seconds: float) -> str:
    """Return *size* bytes over *seconds* as a rate; a time too short to divide by gives "-"."""
    return f"{format_size(round(size / seconds))}/s" if seconds > 0 else "-"


def format_seconds(seconds: float) -> str:
    """Return a duration: "0.42 s", "12.3 s", "3 min 05 s", "2 h 07 min"."""
    if seconds < 9.995:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02} min"


def format_count(count: int, noun: str) -> str:
    """Return *count* with its *noun*, in the plural unless it is one."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def text_or_none(value: object) -> str | None:
    """Return *value* as a string, and None as itself, as JSON has it."""
    return None if value is None else str(value)
