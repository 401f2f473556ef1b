"""Show on a terminal how far each layer is, and before there are any, what is waited for; nothing anywhere else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from occy_fast.cli.answer import Voice, print_note
from occy_fast.errors import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

    from occy_fast.running.progress import LayerProgress, Progress

_SOON = 0.4  # seconds: what is done by then needs no bars
_QUIET = 2.0  # seconds from the begin, without a layer from a pipe: a person may wonder by then
_PERIOD = 0.2  # seconds: 4 Hz from the library, and not more where it also reports the end of each layer
_NARROW = 72  # columns


class Watch:
    """What a command shows while a source is read and layers are under way, on stderr and only if that is a terminal.

    `callback` is for the library, None where nobody looks; leaving the context takes the bars away again.
    """

    def __init__(self, voice: Voice, *locators: str) -> None:
        """Watch what is done with *locators*: a source, and where it goes."""
        self.callback: Callable[[Progress], None] | None = None
        self._waiting: _Waiting | None = None
        if not voice.quiet and _is_terminal():
            self.callback = self._show
            self._waiting = _Waiting(locators)
        self._bars: Bars | None = None
        self._total: TaskID | None = None
        self._tasks: list[TaskID] = []
        self._finished: set[TaskID] = set()
        self._started = self._shown = time.monotonic()

    def __enter__(self) -> Self:
        if self._waiting is not None:
            self._waiting.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._waiting is not None:
            self._waiting.end()
        if self._bars is not None:
            bars, self._bars = self._bars, None
            with suppress(OSError):  # the terminal may be gone; the work is not
                bars.stop()

    def _show(self, progress: Progress) -> None:
        if not progress.layers:                      # of an archive that comes by, nobody knows any at its begin
            return
        if self._waiting is not None:
            self._waiting.end()
            self._waiting = None
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
        if len(progress.layers) < len(self._tasks):  # a retry begins again; an archive has more than one of its images
            for task in self._tasks:
                bars.remove_task(task)
            self._tasks, self._finished = [], set()
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


class _Waiting:
    """What is shown until the first layer: nothing for a moment, then what is waited for, and for how long.

    Nobody calls while a daemon prepares an archive or a pipe is silent, so this has a thread of its own.
    """

    def __init__(self, locators: tuple[str, ...]) -> None:
        from occy_fast.transports.locate import DAEMONS, STREAM, is_pipe, parse_locator

        places = tuple(map(parse_locator, locators))
        source = places[0]
        self._piped = is_pipe(source)
        self._text = f"reading {'standard input' if source.path == STREAM else source.text}"
        if daemons := [place.text for place in places if place.transport in DAEMONS]:
            self._text = f"waiting for {' and '.join(daemons)}"
        self._lock = threading.Lock()
        self._timer = threading.Timer(_QUIET if self._piped else _SOON, self._show)
        self._timer.daemon = True
        self._bars: Bars | None = None
        self._ended = False

    def start(self) -> None:
        self._timer.start()

    def end(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._bars is not None:
                bars, self._bars = self._bars, None
                with suppress(OSError):
                    bars.stop()

    def _show(self) -> None:
        with self._lock, suppress(OSError, ValueError):  # the terminal may be gone, or closed; the work is not
            if self._ended or sys.stderr is None:
                return
            if self._piped:                          # sudo may ask for a password at the other end: nothing is redrawn
                print_note(self._text)
                return
            from rich.console import Console
            from rich.progress import Progress as Bars
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
            self._bars = Bars(
                *columns, console=Console(stderr=True), refresh_per_second=4, transient=True, redirect_stdout=False
            )
            self._bars.add_task(printable(self._text), total=None)
            self._bars.start()


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
