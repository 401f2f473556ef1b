"""Times as Go's encoding/json reads and writes them."""

from __future__ import annotations

import re
from calendar import monthrange
from typing import Final

GO_ZERO_TIME: Final = "0001-01-01T00:00:00Z"
"""What Go writes for a time that nobody has set."""

A_TIME: Final = "a time as in 2006-01-02T15:04:05Z"
"""What is expected, for messages."""

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d{1,2}):(\d\d):(\d\d)(?:[.,](\d+))?(?:Z|([+-])(\d\d):(\d\d))", re.ASCII
)


def rewrite_time(text: str) -> str:
    """Return a time as Go writes it: nanoseconds at most, without trailing zeros, and Z where nothing is added.

    (RFC 3339, section 5.6)

    Raises:
        ValueError: Go does not read it; the text says what was expected.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError(A_TIME)
    year, month, day, hour, minute, second = map(int, found.groups()[:6])
    # the year 0 is a leap year, and monthrange does not know it
    is_date = 1 <= month <= 12 and 1 <= day <= monthrange(year or 4, month)[1]
    if not is_date or hour > 23 or minute > 59 or second > 59:
        raise ValueError("a time that there is")
    fraction = (found[7] or "")[:9].rstrip("0")
    written = f"{found[1]}-{found[2]}-{found[3]}T{hour:02}:{found[5]}:{found[6]}{'.' if fraction else ''}{fraction}"
    zone = int(found[9] or 0) * 60 + int(found[10] or 0)
    return f"{written}{found[8]}{zone // 60:02}:{zone % 60:02}" if zone else f"{written}Z"
