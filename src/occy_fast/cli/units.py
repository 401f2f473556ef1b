"""Write rates, times and counts for people."""

from __future__ import annotations

from occy_fast.planning.explain import format_size


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
