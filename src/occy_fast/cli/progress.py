"""Show on a terminal how far each layer is, and in every silence what is waited for; nothing anywhere else."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Self

from occy_fast.cli.output import OutputMode, print_note
from occy_fast.transports.locator import STREAM
from occy_fast.transports.opening import parse_locator
from occy_fast.words import printable

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import ProgressColumn, TaskID

    from occy_fast.context.progress import LayerProgress, Party, Progress
    from occy_fast.image.image import Layer

_SOON = 0.4  # seconds: what is done by then needs no bars
_QUIET = 2.0  # seconds from the begin, without a layer from a pipe: a person may wonder by then
_SILENT = 1.5  # seconds without a report: a daemon unpacks what it has, or a pipe brings nothing
_PERIOD = 0.2  # seconds: 4 Hz from the library, and not more where it also reports the end of each layer
_TICK = 0.25  # seconds from one picture of a silence to the next
_NARROW = 72  # columns


class Watch:
    """What a command shows while a source is read and layers are under way, on stderr and only if that is a terminal.

    `callback` is for the library, None where nobody looks; leaving the context takes the bars away again. The library
    calls at its own pace, and not at all while somebody else is waited for: a thread tells of that, and does nothing
    else, so that it takes the interpreter from nobody who needs it.
    """

    def __init__(self, mode: OutputMode, source: str, destination: str = "") -> None:
        """Watch what is done with *source*, and where it goes, if anywhere."""
        self.callback: Callable[[Progress], None] | None = None
        self._ticker: threading.Thread | None = None
        if not mode.quiet and _is_terminal():
            self.callback = self._show
            self._ticker = threading.Thread(target=self._tick, name="occy-fast progress", daemon=True)
        self._names: dict[Party, str] = {"source": _name(source, "input"), "destination": _name(destination, "output")}
        self._last: Progress | None = None           # what the library said last
        self._lock = threading.Lock()                # of what is drawn
        self._over = threading.Event()
        self._terminal_gone = False                  # for good: nothing more is drawn
        self._spinner: Bars | None = None
        self._note_printed = False
        self._bars: Bars | None = None
        self._total: TaskID | None = None
        self._tasks: list[TaskID] = []
        self._watched: list[tuple[str, Layer]] = []  # what each of them shows
        self._finished: set[TaskID] = set()
        self._started = self._shown = time.monotonic()
        self._reported: float | None = None

    def __enter__(self) -> Self:
        if self._ticker is not None:
            self._ticker.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._over.set()
            if self._ticker is not None:
                self._ticker.join()
        finally:                                     # a second Ctrl-C leaves a terminal that works
            with self._lock:
                self._end_spinner()
                _stop(self._bars)

    def _show(self, progress: Progress) -> None:
        self._last = progress
        if self._terminal_gone or not progress.layers:    # of a stream, nobody knows any before they come
            return
        now = time.monotonic()
        with self._lock:
            self._reported = now
            self._end_spinner()
            if now - self._started < _SOON or now - self._shown < _PERIOD:
                return
            self._shown = now
            try:
                if self._bars is None:
                    self._open(progress)
                self._update(progress)
            except (OSError, ValueError):            # the terminal is gone, or closed; the work is not
                self._terminal_gone = True

    def _tick(self) -> None:
        while not self._over.wait(_TICK):
            with self._lock:
                if self._over.is_set():
                    return
                try:
                    self._tell_silence(time.monotonic())
                except (OSError, ValueError):
                    self._terminal_gone = True
                    return

    def _tell_silence(self, now: float) -> None:
        """Say what is waited for, if the library has not reported for too long."""
        if self._reported is None and self._reads_a_pipe():
            # sudo may ask for a password at the other end: one line, and nothing is redrawn
            if now - self._started >= _QUIET and not self._note_printed:
                self._note_printed = True
                print_note(f"reading {self._names['source']}")
            return
        silence = now - (self._started if self._reported is None else self._reported)
        if silence < (_SOON if self._reported is None else _SILENT):
            return
        if self._bars is None:
            self._spin()
        else:
            assert self._total is not None
            self._bars.update(self._total, description=f"{self._awaited()}, {silence:.0f} s")
            self._bars.refresh()

    def _reads_a_pipe(self) -> bool:
        return self._last is not None and self._last.phase == "read" and "source" in self._last.waits_for

    def _awaited(self) -> str:
        """Say who is waited for: what others give or take, else what is read first, and written last."""
        last = self._last
        if last is not None and last.waits_for:
            return f"waiting for {' and '.join(self._names[party] for party in last.waits_for)}"
        if last is not None and last.phase in ("layers", "documents", "publish") and self._names["destination"]:
            return f"writing {self._names['destination']}"
        return f"reading {self._names['source']}"

    def _spin(self) -> None:
        if self._spinner is None:
            from rich.console import Console
            from rich.progress import Progress as Bars
            from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn()
            console = Console(stderr=True)
            self._spinner = Bars(
                *columns, console=console, auto_refresh=False, transient=True, redirect_stdout=False
            )
            self._spinner.add_task("", total=None)
            self._spinner.start()
        self._spinner.update(self._spinner.task_ids[0], description=self._awaited())
        self._spinner.refresh()

    def _end_spinner(self) -> None:
        if self._spinner is not None:
            try:
                _stop(self._spinner)
            finally:
                self._spinner = None

    def _open(self, progress: Progress) -> None:
        from rich.console import Console
        from rich.progress import Progress as Bars

        console = Console(stderr=True)
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
        watched = [(state.kind, state.layer) for state in progress.layers]
        if watched[: len(self._watched)] != self._watched:  # a retry starts again; what was read to plan, is written
            for task in self._tasks:
                bars.remove_task(task)
            self._tasks, self._finished = [], set()
        self._watched = watched
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


def _stop(drawn: Bars | None) -> None:
    """Take away what was drawn; of what could not be begun, rich does not know how to (IndexError)."""
    with suppress(OSError, ValueError, IndexError):
        if drawn is not None:
            drawn.stop()


def _name(text: str, pipe: str) -> str:
    """Return what to call an end of the work; *pipe* is which of the standard streams it would be."""
    return f"standard {pipe}" if text and parse_locator(text).path == STREAM else printable(text)


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
