"""The public functions: words become values, and nothing is printed."""

from __future__ import annotations

import inspect
import logging
import threading
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

import occy_fast
from occy_fast import api
from occy_fast.context.access import Access
from occy_fast.errors import NotFound, OccyError, Unsupported, UsageError
from occy_fast.planning.goal import Goal
from occy_fast.planning.goal_words import GoalWords, make_goal
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.platform import Platform
from occy_fast.targets.catalog import find_target
from support.image_builders import docker_archive, make_image, oci_layout


def test_the_public_names() -> None:
    for name in occy_fast.__all__:
        assert getattr(occy_fast, name) is not None
    assert occy_fast.convert is api.convert


def test_open_image_shows_plain_data(tmp_path: Path) -> None:
    image = make_image("one", "two", codec="gzip")
    oci_layout(tmp_path / "in", [image], ["app"])
    with occy_fast.open_image(f"oci:{tmp_path}/in") as contents:
        (named,) = contents.images
        assert named.ref == "app"
        assert [str(layer.diff_id) for layer in named.root.layers] == image.diff_ids


@pytest.mark.parametrize(
    ("words", "goal"),
    [
        ({}, Goal()),
        ({"encoding": "keep"}, Goal("keep")),
        ({"encoding": "zstd:3"}, Goal(Encoding("zstd", 3))),
        ({"encoding": Encoding("gzip")}, Goal(Encoding("gzip"))),
        ({"format": "docker", "verify": "layers", "link": True}, Goal(None, "docker", (), "layers", True)),
        ({"platforms": ["linux/arm64", Platform("linux", "amd64")]}, None),
    ],
)
def test_words_become_a_goal(words: dict[str, Any], goal: Goal | None) -> None:
    made = make_goal(**words)
    assert made == goal or (goal is None and made.platforms == (Platform("linux", "arm64"), Platform("linux", "amd64")))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ({"encoding": "brotli"}, UsageError),
        ({"encoding": "gzip:9"}, Unsupported),
        ({"encoding": "xz"}, Unsupported),
        ({"encoding": 3}, UsageError),
        ({"encoding": ""}, UsageError),
        ({"format": "v1"}, UsageError),
        ({"verify": "nothing"}, UsageError),
        ({"platforms": ["linux"]}, UsageError),
    ],
)
def test_words_that_mean_nothing(words: dict[str, Any], error: type[OccyError]) -> None:
    with pytest.raises(error):
        make_goal(**words)


def test_a_plan_touches_nothing(tmp_path: Path) -> None:
    docker_archive(tmp_path / "in.tar", [make_image("one")])
    plan = occy_fast.plan(str(tmp_path / "in.tar"), f"oci:{tmp_path}/out:app", encoding="zstd")
    assert [path.name for path in tmp_path.iterdir()] == ["in.tar"]
    assert "none -> zstd:3" in plan.explain()
    assert "encoder: zstd:3 by" in plan.explain()


def test_nothing_is_printed_and_the_logger_tells(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    docker_archive(tmp_path / "in.tar", [make_image("one")])
    with caplog.at_level(logging.DEBUG, "occy_fast"):
        occy_fast.convert(str(tmp_path / "in.tar"), f"oci:{tmp_path}/out:app")
    assert capfd.readouterr() == ("", "")
    assert any("published" in message for message in caplog.messages)


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        occy_fast.convert(f"{tmp_path}/nothing", f"oci:{tmp_path}/out")
    assert list(tmp_path.iterdir()) == []


def test_calls_from_several_threads(tmp_path: Path) -> None:
    image = make_image("one", "two", size=200_000)
    docker_archive(tmp_path / "in.tar", [image])
    results: list[Any] = []

    def work(number: int) -> None:
        results.append(occy_fast.convert(f"{tmp_path}/in.tar", f"oci:{tmp_path}/out:app{number}", encoding="zstd:1"))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({result.digest for result in results}) == 1
    assert len(results) == 4
    report = occy_fast.verify(f"oci:{tmp_path}/out")
    assert (report.findings, report.images) == ((), 1)


@pytest.mark.parametrize(
    ("access", "asked"),
    [
        (Access(socket="/run/docker.sock"), "socket /run/docker.sock"),
        (Access(timeout=3, retries=2), "timeout 3, retries 2"),
        (Access(retry_delay=1), "retry delay 1"),
    ],
)
def test_what_is_for_a_daemon_is_refused_where_none_is_named(tmp_path: Path, access: Access, asked: str) -> None:
    layout = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"

    def opened() -> None:
        with occy_fast.open_image(layout, access=access):
            pass

    calls: list[Callable[[], object]] = [
        opened,
        lambda: occy_fast.plan(layout, f"oci:{tmp_path}/out", access=access),
        lambda: occy_fast.convert(layout, f"oci:{tmp_path}/out", access=access),
        lambda: occy_fast.inspect(layout, access=access),
        lambda: occy_fast.verify(layout, access=access),
        lambda: occy_fast.check(layout, ["docker-20.10"], access=access),
    ]
    for call in calls:
        with pytest.raises(UsageError, match=f"{asked}: that is for a daemon, and none is named"):
            call()
    assert not (tmp_path / "out").exists()


def test_one_word_where_several_are_expected(tmp_path: Path) -> None:
    """Text is a sequence of its letters, which nobody means."""
    layout = f"oci:{oci_layout(tmp_path / 'in', [make_image()])}"
    for call in (
        lambda: occy_fast.check(layout, "docker-20.10"),
        lambda: occy_fast.plan(layout, f"oci:{tmp_path}/out", platforms="linux/amd64"),
        lambda: occy_fast.plan(layout, f"docker-archive:{tmp_path}/out", tags="app:1"),
    ):
        with pytest.raises(UsageError, match="is one"):
            call()


def contents_of(source: Any) -> Any:
    with occy_fast.open_image(source) as contents:
        return contents


CALLS: dict[str, Callable[[Any], Any]] = {
    "open_image": contents_of,
    "inspect": occy_fast.inspect,
    "verify": occy_fast.verify,
    "check": lambda source: occy_fast.check(source, ["docker-29.0"]),
    "plan": lambda source: occy_fast.plan(source, "oci:out:app"),
    "convert": lambda source: occy_fast.convert(source, "oci:out:app").plan,
}


@pytest.mark.parametrize("name", ["app.tar", "docker-archive:app.tar", "-", "x:y"])
@pytest.mark.parametrize("call", CALLS)
def test_a_path_object_is_a_path_whatever_is_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    docker_archive(tmp_path / name, [make_image("one", names=["app:1"])])
    found = CALLS[call](Path(name))
    told = found.source if call in ("plan", "convert") else found.locator
    assert told == ("app.tar" if name == "app.tar" else f"./{name}")
    assert CALLS[call](tmp_path / name)
    assert CALLS[call](told)                                 # what is told is a locator of the same


def test_a_path_is_no_destination_and_bytes_are_no_locator(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "app.tar", [make_image()])
    with pytest.raises(UsageError, match=r"out\.tar' names no transport"):
        occy_fast.plan(archive, tmp_path / "out.tar")
    for call in CALLS.values():
        with pytest.raises(UsageError, match=r"is no locator .a locator is text"):
            call(bytes(archive))


def test_a_socket_may_be_a_path_object() -> None:
    access = Access(Path("/run/some.sock"))
    assert access == Access("/run/some.sock")
    assert access.socket == "/run/some.sock"
    with pytest.raises(UsageError, match="has a login or a query in it"):
        Access("tcp://me:secret@host:1")


def test_a_target_may_be_a_value(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "app.tar", [make_image()])
    target = find_target("docker-20.10.24")
    report = occy_fast.check(archive, [target, "docker-20.10.24"])
    assert report.targets == ("docker-20.10.24",)
    assert report == occy_fast.check(archive, ["docker-20.10.24"])


@pytest.mark.parametrize("function", [occy_fast.plan, occy_fast.convert])
def test_help_lists_the_words_of_a_goal(function: Callable[..., Any]) -> None:
    signature = inspect.signature(function)
    for field in fields(Goal):
        assert signature.parameters[field.name].default == field.default
        assert f"        {field.name}: " in (function.__doc__ or "")
    assert "words" not in signature.parameters
    assert "**words" not in (function.__doc__ or "")
    assert list(GoalWords.__annotations__) == [field.name for field in fields(Goal)]


def test_a_word_that_no_goal_has(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="unexpected keyword 'compression'"):
        occy_fast.plan("a.tar", "oci:out", compression="zstd")  # type: ignore[call-arg]


def test_a_plan_prints_as_a_dry_run_does(tmp_path: Path) -> None:
    archive = docker_archive(tmp_path / "a.tar", [make_image()])
    plan = occy_fast.plan(str(archive), f"oci:{tmp_path}/out")
    assert str(plan) == plan.explain()
    rules = occy_fast.plan("-", f"oci:{tmp_path}/out")
    assert str(rules) == rules.explain()
