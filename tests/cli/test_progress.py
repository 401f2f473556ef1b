"""Bars are drawn on a terminal and nowhere else, and never on stdout."""

from __future__ import annotations

import io
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from occy_fast.cli import main
from occy_fast.cli import progress as module
from occy_fast.cli.output import OutputMode
from occy_fast.cli.progress import Watch
from occy_fast.spec.digest import Digest
from support.fake_daemon import Exchange, FakeDaemon
from support.image_builders import docker_archive, make_image
from support.leaks import nothing_left, our_threads


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


class GoneTerminal(Terminal):
    """A terminal that was closed under the program."""

    def write(self, text: str) -> int:
        raise OSError(5, "Input/output error")


def snapshot(*states: tuple[str, str, int], phase: str = "layers", waits_for: tuple[str, ...] = ()) -> Any:
    """Build what the library reports: for each layer its kind, its state, and the bytes read of 10 MB."""
    layers = tuple(
        SimpleNamespace(
            layer=SimpleNamespace(digest=Digest.sha256(bytes([number])), diff_id=None, size=10_000_000),
            kind=kind,
            state=state,
            source=source,
            written=0,
        )
        for number, (kind, state, source) in enumerate(states)
    )
    read, total = sum(state[2] for state in states), 10_000_000 * len(layers)
    return SimpleNamespace(layers=layers, source=read, total=total, phase=phase, waits_for=waits_for)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show bars from the first report on."""
    monkeypatch.setattr(module, "_SOON", 0.0)
    monkeypatch.setattr(module, "_PERIOD", 0.0)
    monkeypatch.setattr(module, "_TICK", 0.01)
    monkeypatch.setattr(module, "_SILENT", 1000.0)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("LINES", "24")


def show(terminal: io.StringIO, monkeypatch: pytest.MonkeyPatch, *snapshots: Any) -> str:
    monkeypatch.setattr(sys, "stderr", terminal)
    with Watch(OutputMode(), "app.tar") as watch:
        assert watch.callback is not None
        for shot in snapshots:
            if watch.callback is not None:
                watch.callback(shot)
    drawn = terminal.getvalue()
    assert drawn.rfind("\x1b[?25h") >= drawn.rfind("\x1b[?25l")    # a cursor that was hidden is shown again
    return drawn


def test_each_layer_has_a_bar(
    at_once: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn = show(Terminal(), monkeypatch, snapshot(("recode", "running", 5_000_000), ("copy", "done", 10_000_000)))
    assert "1 of 2 layers" in drawn
    assert f"recode {Digest.sha256(bytes([0])).hex[:12]}" in drawn
    assert f"copy {Digest.sha256(bytes([1])).hex[:12]}" in drawn
    assert "5.0/10.0 MB" in drawn
    assert capsys.readouterr().out == ""


def test_layers_come_one_by_one(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = ("copy", "running", 5_000_000), ("recode", "running", 1_000_000)
    drawn = show(Terminal(), monkeypatch, snapshot(), snapshot(first), snapshot(("copy", "done", 10_000_000), second))
    assert "0 of 1 layers" in drawn
    assert "1 of 2 layers" in drawn
    assert "11.0/20.0 MB" in drawn


def test_layers_may_become_fewer(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry begins again; of an archive that came by, one image may be looked into after all of it."""
    many = [("copy", "done", 10_000_000)] * 3
    drawn = show(Terminal(), monkeypatch, snapshot(*many), snapshot(), snapshot(("verify", "running", 5_000_000)))
    assert "3 of 3 layers" in drawn
    assert "0 of 1 layers" in drawn[drawn.index("3 of 3 layers") :]
    assert "copy" not in drawn[drawn.index("0 of 1 layers") :]


def test_no_bar_is_drawn_of_no_layer(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "layers" not in show(Terminal(), monkeypatch, snapshot(), snapshot())


def test_only_running_layers_are_shown_when_not_all_fit(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    many = [("copy", "done", 10_000_000)] * 40 + [("recode", "running", 1)] + [("copy", "waiting", 0)] * 40
    drawn = show(Terminal(), monkeypatch, snapshot(*many))
    assert "40 of 81 layers" in drawn
    assert drawn.count("recode ") >= 1
    assert "copy " not in drawn


def test_a_narrow_terminal_keeps_name_and_share(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    drawn = show(Terminal(), monkeypatch, snapshot(("recode", "running", 5_000_000)))
    assert "50%" in drawn
    assert "MB" not in drawn


def test_a_quick_job_draws_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    assert show(Terminal(), monkeypatch, snapshot(("copy", "done", 10_000_000))) == ""


@pytest.mark.parametrize("term", ["dumb", ""])
def test_a_terminal_without_a_cursor_is_left_alone(term: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", term)
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert Watch(OutputMode(), "app.tar").callback is None


def test_no_terminal_or_quiet_means_no_callback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(sys, "stderr", Terminal())
    assert Watch(OutputMode(), "app.tar").callback is not None
    assert Watch(OutputMode(quiet=True), "app.tar").callback is None
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert Watch(OutputMode(), "app.tar").callback is None
    monkeypatch.setattr(sys, "stderr", None)
    assert Watch(OutputMode(), "app.tar").callback is None


def wait_for(condition: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if condition():
            return
        time.sleep(0.001)
    pytest.fail("it never came to that")


@pytest.mark.parametrize(
    ("source", "phase", "told"),
    [
        ("docker-daemon:app:1", snapshot(phase="connect", waits_for=("source",)), "waiting for docker-daemon:app:1"),
        ("app.tar", None, "reading app.tar"),
        ("app.tar", snapshot(phase="probe"), "reading app.tar"),
        ("-", snapshot(phase="read", waits_for=("source",)), "reading standard input"),
        ("docker-archive:-", snapshot(phase="read", waits_for=("source",)), "reading standard input"),
        ("a\x1b[2Jb.tar", None, "reading a\\x1b[2Jb.tar"),
    ],
)
def test_what_is_waited_for_is_told(
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    source: str,
    phase: Any,
    told: str,
) -> None:
    monkeypatch.setattr(module, "_QUIET", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with nothing_left(), Watch(OutputMode(), source) as watch:
        assert watch.callback is not None
        if phase is not None:
            watch.callback(phase)
        wait_for(lambda: told in terminal.getvalue())
        before = terminal.getvalue()
        watch.callback(snapshot(("copy", "running", 5_000_000)))
        assert "5.0/10.0 MB" in terminal.getvalue()[len(before) :]
        assert watch._spinner is None                    # two live displays would write over each other
        shown = terminal.getvalue().count(told)
        time.sleep(0.1)                                  # ten times longer than from one picture to the next
        assert terminal.getvalue().count(told) == shown
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("words", "asked", "told"),
    [
        ("inspect docker-daemon:app:1", "/get", "waiting for docker-daemon:app:1"),
        ("verify docker-daemon:app:1", "/get", "waiting for docker-daemon:app:1"),
        ("check docker-daemon:app:1 -t k3s", "/get", "waiting for docker-daemon:app:1"),
        ("convert docker-daemon:app:1 oci:{}/out", "/get", "waiting for docker-daemon:app:1"),
        ("convert docker-daemon:app:1 oci:{}/out --dry-run", "app:1/json", "waiting for docker-daemon:app:1"),
        ("convert {}/a.tar docker-daemon:b:1", "/info", "waiting for docker-daemon:b:1"),
        ("convert docker-daemon:app:1 docker-daemon:b:1", "/get", "waiting for docker-daemon:app:1"),
    ],
)
def test_every_command_tells_whom_it_waits_for(
    at_once: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: str, asked: str, told: str
) -> None:
    """The daemon answers only when somebody was told."""
    image = make_image("a", "b")
    docker_archive(tmp_path / "a.tar", [image])
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def linger(_: FakeDaemon, exchange: Exchange) -> bool:
        if exchange.path.endswith(asked):
            wait_for(lambda: told in terminal.getvalue())
        return False

    with tempfile.TemporaryDirectory(prefix="occy-", dir="/tmp") as directory, FakeDaemon(Path(directory)) as fake:
        monkeypatch.setenv("DOCKER_HOST", f"unix://{fake.path}")
        fake.add(image.config, image.tars, "app:1")
        fake.faults.append(linger)
        assert main(words.format(tmp_path).split()) == 0
    assert told in terminal.getvalue()
    assert "0 of 0" not in terminal.getvalue()


@pytest.mark.parametrize("destination", [[], ["oci:out"], ["docker-daemon:b:1"]])
@pytest.mark.parametrize("source", ["-", "docker-archive:-:app:1", "{}/fifo"])
def test_of_a_pipe_one_line_is_never_redrawn(
    at_once: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, source: str, destination: list[str]
) -> None:
    """At its other end somebody may be asked for a password, on the same terminal; nobody else is waited for yet."""
    os.mkfifo(tmp_path / "fifo")
    monkeypatch.setattr(module, "_QUIET", 0.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with Watch(OutputMode(), source.format(tmp_path), *destination) as watch:
        assert watch.callback is not None
        watch.callback(snapshot(phase="read", waits_for=("source",)))
        wait_for(lambda: terminal.getvalue() != "")
        time.sleep(0.1)                                  # ten times longer than from one picture to the next
    assert terminal.getvalue().startswith("reading ")
    assert terminal.getvalue().count("\n") == 1
    assert "\x1b" not in terminal.getvalue()


def test_nothing_is_told_of_what_is_there_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(module, "_SOON", 1000.0)
    monkeypatch.setattr(module, "_QUIET", 1000.0)
    for source in ("app.tar", "-"):
        monkeypatch.setattr(sys, "stderr", terminal := Terminal())
        with nothing_left(), Watch(OutputMode(), source):
            pass
        assert terminal.getvalue() == ""


@pytest.mark.parametrize(
    ("locators", "phase", "waits_for", "told"),
    [
        (("docker-daemon:app:1",), "layers", ("source",), "waiting for docker-daemon:app:1"),
        (("a.tar", "podman:b:2"), "publish", ("destination",), "waiting for podman:b:2"),
        (("-", "podman:b:2"), "layers", ("source", "destination"), "waiting for standard input and podman:b:2"),
        (("-", "oci:out"), "layers", ("source",), "waiting for standard input"),
        (("a.tar", "docker-archive:-"), "layers", (), "writing standard output"),
        (("a.tar", "oci:out"), "publish", (), "writing oci:out"),
        (("a.tar", "oci:out"), "read", (), "reading a.tar"),
        (("a.tar",), "layers", (), "reading a.tar"),
    ],
)
def test_a_silence_is_told(
    at_once: None,
    monkeypatch: pytest.MonkeyPatch,
    locators: tuple[str, ...],
    phase: str,
    waits_for: tuple[str, ...],
    told: str,
) -> None:
    """A daemon may take longer to unpack what it has than it took to get it."""
    monkeypatch.setattr(module, "_SILENT", 0.05)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    def report(done: int) -> Any:
        return snapshot(("copy", "done", 10_000_000), ("copy", "running", done), phase=phase, waits_for=waits_for)

    with nothing_left(), Watch(OutputMode(), *locators) as watch:
        assert watch.callback is not None
        for _ in range(2):
            watch.callback(report(5_000_000))
            before = len(terminal.getvalue())
            wait_for(lambda start=before: f"{told}, " in terminal.getvalue()[start:])  # type: ignore[misc]
            watch.callback(report(6_000_000))
            assert "1 of 2 layers" in terminal.getvalue()[before:]


def test_a_silence_after_layers_that_were_quick(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """No bar was worth drawing, and then a daemon takes its time."""
    monkeypatch.setattr(module, "_SILENT", 0.05)
    monkeypatch.setattr(module, "_SOON", 1000.0)
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    with nothing_left(), Watch(OutputMode(), "a.tar", "podman:b:2") as watch:
        assert watch.callback is not None
        watch.callback(snapshot(("copy", "done", 10_000_000), phase="publish", waits_for=("destination",)))
        wait_for(lambda: "waiting for podman:b:2" in terminal.getvalue())
    assert "layers" not in terminal.getvalue()


@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), BlockingIOError(), ValueError("closed")])
@pytest.mark.parametrize("reports", [0, 2])
def test_a_terminal_that_fails_once_does_not_end_the_work(
    at_once: None, monkeypatch: pytest.MonkeyPatch, error: Exception, reports: int
) -> None:
    class FailingTerminal(Terminal):
        failed = False

        def write(self, text: str) -> int:
            if not self.failed:
                self.failed = True
                raise error
            return super().write(text)

    monkeypatch.setattr(sys, "stderr", terminal := FailingTerminal())
    with nothing_left(), Watch(OutputMode(), "a.tar") as watch:
        for _ in range(reports):
            if watch.callback is not None:
                watch.callback(snapshot(("copy", "running", 1)))
        wait_for(lambda: terminal.failed)
    assert sys.stderr is terminal


def test_a_second_interrupt_leaves_a_terminal_that_works(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may come while the command waits for the thread that draws."""
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    watch = Watch(OutputMode(), "a.tar")
    assert watch._ticker is not None

    def interrupted(timeout: float | None = None) -> None:
        raise KeyboardInterrupt

    with nothing_left(in_time=True):
        with pytest.raises(KeyboardInterrupt), watch:
            wait_for(lambda: "reading a.tar" in terminal.getvalue())
            monkeypatch.setattr(watch._ticker, "join", interrupted)
        assert sys.stderr is terminal
        assert terminal.getvalue().rindex("\x1b[?25h") > terminal.getvalue().rindex("\x1b[?25l")
        wait_for(lambda: not our_threads())


def test_nothing_is_drawn_on_a_terminal_that_went_away(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library calls what it was given at its start, whatever became of it."""
    opened = 0

    def failing(*_: object) -> None:
        nonlocal opened
        opened += 1
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(module, "_TICK", 1000.0)
    monkeypatch.setattr(Watch, "_open", failing)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Watch(OutputMode(), "a.tar") as watch:
        report = watch.callback
        assert report is not None
        for read in (1, 2, 3):
            report(snapshot(("copy", "running", read)))
    assert opened == 1


def test_a_terminal_that_goes_away_does_not_end_the_work(at_once: None, monkeypatch: pytest.MonkeyPatch) -> None:
    show(GoneTerminal(), monkeypatch, snapshot(("copy", "running", 1)), snapshot(("copy", "running", 2)))
    with nothing_left(), Watch(OutputMode(), "a.tar") as watch:
        assert watch._ticker is not None
        watch._ticker.join(30)                           # it drew once, and gave up
        assert not watch._ticker.is_alive()
