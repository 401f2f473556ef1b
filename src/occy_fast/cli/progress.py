"""Show how far each layer is: bars on a terminal, nothing anywhere else."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from occy_fast.cli.answer import Voice

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

    from occy_fast.running.progress import LayerProgress, Progress

_SOON = 0.4  # seconds: what is done by then needs no bars
_PERIOD = 0.2  # seconds: 4 Hz from the library, and not more where it also reports the end of each layer
_NARROW = 72  # columns


class Watch:
    """What a command shows while layers are under way, on stderr and only if that is a terminal.

    `callback` is for the library, None where nobody looks; leaving the context takes the bars away again.
    """

    def __init__(self, voice: Voice) -> None:
        self.callback: Callable[[Progress], None] | None = None
        if not voice.quiet and _is_terminal():
            self.callback = self._show
        self._bars: Bars | None = None
        self._total: TaskID | None = None
        self._tasks: list[TaskID] = []
        self._finished: set[TaskID] = set()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            bars, self._bars = self._bars, None
            with suppress(OSError):  # the terminal may be gone; the work is not
                bars.stop()

    def _show(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self._started < _SOON or now - self._shown < _PERIOD:
            return
        self._shown = now
        try:
            if self._bars is None:
                self._open(progress)
            self._update(progress)
        except OSError:
            self.callback = None

    def _open(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
        # The library calls at its own pace, so no thread of rich's takes the interpreter from whoever else needs it.
        bars = Bars(
            *_columns(console.width),
            console=console,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )
        self._total = bars.add_task(_count_text(progress), total=max(progress.total, 1))
        self._bars = bars

    def _update(self, progress: Progress) -> None:
        bars = self._bars
        assert bars is not None
        assert self._total is not None
        all_fit = len(progress.layers) + 2 <= bars.console.height
        self._tasks += [                             # of an archive in a pipe, nobody knows how many will come
            bars.add_task(f"{state.kind} {_label(state)}", total=max(state.layer.size, 1), visible=False)
            for state in progress.layers[len(self._tasks) :]
        ]
        total = max(progress.total, 1)
        bars.update(self._total, completed=progress.source, total=total, description=_count_text(progress))
        for task, state in zip(self._tasks, progress.layers, strict=True):
            if task in self._finished:  # a further update would count the time since as part of its speed
                continue
            is_done = state.state == "done"
            completed = max(state.layer.size, 1) if is_done else state.source
            bars.update(task, completed=completed, visible=all_fit or state.state == "running")
            if is_done:
                self._finished.add(task)
        if bars.live.is_started:
            bars.refresh()
        else:
            bars.start()


def _columns(width: int) -> list[ProgressColumn]:
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        TaskProgressColumn,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )
    from rich.table import Column

    name = TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))
    # Lines stay short of the edge: a "^C" that the terminal echoes behind them must not start a new one.
    if width < _NARROW:
        return [name, BarColumn(min(40, max(4, width - 36))), TaskProgressColumn()]
    bar = BarColumn(min(40, width - 66))
    return [name, bar, DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn(compact=True)]


def _label(state: LayerProgress) -> str:
    digest = state.layer.digest or state.layer.diff_id
    return "layer" if digest is None else digest.hex[:12]


def _count_text(progress: Progress) -> str:
    done = sum(layer.state == "done" for layer in progress.layers)
    return f"{done} of {len(progress.layers)} layers"


def _is_terminal() -> bool:
    """Tell whether bars can be drawn on stderr: a terminal that can move its cursor."""
    try:
        return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") not in (None, "", "dumb")
    except ValueError:  # closed
        return False
