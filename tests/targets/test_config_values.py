"""Values that are decoded and then refused: as the live consumers took them and put it."""

from __future__ import annotations

import pytest

from occy_fast.image.go_decoding import find_refusal
from occy_fast.targets.config_structs import PODMAN_RUN_4, PODMAN_RUN_5, REWRITTEN
from occy_fast.targets.config_values import docker_port_problem, podman_port_problem, signal_problem, variable_problem
from support.config_damage import odd_values

DIFF_IDS = ["sha256:" + "0" * 64]


@pytest.mark.parametrize("text", ["", "TERM", "sigterm", "-1", "64", "015", "rtmin+3", "SIGRTMIN+15", "RTMAX-14"])
def test_signals_that_there_are(text: str) -> None:
    assert signal_problem(text) == ""


@pytest.mark.parametrize("text", ["FOO", "SIGFOO", "0", "65", "99", " 15", "RTMIN+16", "RTMAX-15", "RTMIN-1", "TERM+1"])
def test_signals_that_there_are_not(text: str) -> None:
    assert "signal" in signal_problem(text)


@pytest.mark.parametrize("text", ["A=b", "A", "A=", " =x", "*"])
def test_variables_that_name_something(text: str) -> None:
    assert variable_problem(text) == ""


@pytest.mark.parametrize("text", ["", "=", "=x"])
def test_variables_that_name_nothing(text: str) -> None:
    assert "invalid variable" in variable_problem(text)


@pytest.mark.parametrize("key", ["80", "80/tcp", "80/TCP", "80/sctp", "80/", "80-90/tcp", "80-80"])
def test_ports_for_podman(key: str) -> None:
    assert podman_port_problem(key) == ""


@pytest.mark.parametrize("key", ["", "x/tcp", "80/xyz", "0/tcp", "70000", "-1", "90-80", "80/tcp/udp", "80-"])
def test_what_is_no_port_for_podman(key: str) -> None:
    assert "port" in podman_port_problem(key) or "protocol" in podman_port_problem(key)


def test_ports_for_docker() -> None:
    assert [docker_port_problem(key) for key in ("", "80/tcp", "065535")] == ["", "", ""]
    assert "value is empty" in docker_port_problem("/tcp")
    assert "invalid syntax" in docker_port_problem("80-90/tcp")
    assert "out of range" in docker_port_problem("65536")


def test_a_port_is_judged_as_a_whole() -> None:
    assert docker_port_problem("0" * 5000) == ""
    assert "value out of range" in docker_port_problem("1" * 5000)


def test_each_is_looked_at_where_it_stands() -> None:
    refused = {case.path[-1] for case in odd_values(DIFF_IDS) if find_refusal(case.raw, PODMAN_RUN_5) is not None}
    assert refused == {"Env", "StopSignal", "ExposedPorts"}
    refused = {case.path[-1] for case in odd_values(DIFF_IDS) if find_refusal(case.raw, PODMAN_RUN_4) is not None}
    assert refused == {"Env", "StopSignal"}


@pytest.mark.parametrize(("zone", "taken"), [("+23:59", True), ("Z", True), ("+23:60", False), ("-24:30", False)])
def test_zones_that_are_written_again(zone: str, taken: bool) -> None:
    raw = b'{"created":"2020-01-01T00:00:00%s"}' % zone.encode()
    assert (find_refusal(raw, REWRITTEN) is None) == taken
