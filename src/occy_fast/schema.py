"""The versions of the JSON forms: what `--json` prints and `to_json()` returns has one of them as its `schema`.

A form's version grows when a key goes away or changes its meaning; keys may be added without that.
"""

from __future__ import annotations

from typing import Final

PLAN: Final = 1
CONVERT: Final = 1
RECOMPRESS: Final = 1
INSPECT: Final = 1
VERIFY: Final = 1
CHECK: Final = 1
TARGETS: Final = 1
COMPLETION: Final = 1
