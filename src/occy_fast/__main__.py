"""Run the command line as `python -m occy_fast`."""

from __future__ import annotations

import sys

from occy_fast.cli import main

if __name__ == "__main__":
    sys.exit(main())
