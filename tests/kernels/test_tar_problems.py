"""tar_problems: the numbers, and what they stand for, are those of the C side."""

from __future__ import annotations

import re
from pathlib import Path

from occy_fast import errors
from occy_fast.kernels.tar_problems import PROBLEMS, Problem

EXT = Path(__file__).resolve().parents[2] / "ext"

# Names that the statuses of status.h have already, and the error each status is.
RENAMED = {"PROBLEM_NONE": "NONE", "BAD_CHECKSUM": "CHECKSUM"}
STATUSES = {
    "OCCY_TAR_HEADER": errors.TarHeaderError,
    "OCCY_TAR_CHECKSUM": errors.TarChecksumError,
    "OCCY_TAR_PAX": errors.TarPaxError,
    "OCCY_TAR_TRUNCATED": errors.TarTruncated,
    "OCCY_TAR_FORMAT": errors.TarFormatError,
    "OCCY_TAR_AMBIGUOUS": errors.TarAmbiguous,
    "OCCY_TAR_LIMIT": errors.TarLimitError,
}


def problem_called(name: str) -> Problem:
    """Return the problem that C calls OCCY_TAR_*name*."""
    return Problem[RENAMED.get(name, name)]


def test_the_numbers_are_those_of_the_header() -> None:
    body = (EXT / "tar_scan.h").read_text().split("enum occy_tar_problem {", 1)[1].split("};", 1)[0]
    numbered = {problem_called(name): int(number) for name, number in re.findall(r"OCCY_TAR_(\w+) = (\d+)", body)}
    assert numbered == {problem: problem.value for problem in Problem}
    assert sorted(numbered.values()) == list(range(len(Problem)))


def test_the_statuses_are_those_of_the_errors() -> None:
    body = (EXT / "tar_record.c").read_text().split("static int status_of(int problem)", 1)[1].split("\n}\n", 1)[0]
    default = body.rsplit("default:", 1)[1].split("return ", 1)[1].split(";", 1)[0]
    found = dict.fromkeys(PROBLEMS, STATUSES[default])
    for cases, status in re.findall(r"((?:case \w+:\s+)+)return (OCCY_TAR_\w+);", body):
        for name in re.findall(r"case OCCY_TAR_(\w+):", cases):
            found[problem_called(name)] = STATUSES[status]
    assert found == {problem: kind for problem, (kind, _) in PROBLEMS.items()}


def test_every_problem_has_words_of_its_own() -> None:
    assert set(PROBLEMS) == set(Problem) - {Problem.NONE}
    words = [text for _, text in PROBLEMS.values()]
    assert len(set(words)) == len(words)
