"""A small share of what sameness.py does in full, and proof that it would see a difference."""

from __future__ import annotations

import platform
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from campaigns.sameness import ARCHIVE, QUICK, Findings, build_encoders, encoders, engine, records, run_encoders

pytestmark = pytest.mark.skipif(
    shutil.which("cc") is None or not ARCHIVE.exists(), reason="there is no cc, or no pinned codecs were built here"
)

# Two bytes swapped where the encoder's address says so: once in 64 addresses.
ADDRESS_DEPENDENT = """
#include "gzip_segments.h"
int __real_occy_gzip_segment(struct occy_gzip_encoder *encoder, const uint8_t *piece, size_t length, uint8_t *target,
                             size_t capacity, size_t *written, uint32_t *crc);
int __wrap_occy_gzip_segment(struct occy_gzip_encoder *encoder, const uint8_t *piece, size_t length, uint8_t *target,
                             size_t capacity, size_t *written, uint32_t *crc);
int __wrap_occy_gzip_segment(struct occy_gzip_encoder *encoder, const uint8_t *piece, size_t length, uint8_t *target,
                             size_t capacity, size_t *written, uint32_t *crc)
{
    int status = __real_occy_gzip_segment(encoder, piece, length, target, capacity, written, crc);
    if (((uintptr_t)encoder >> 16 & 63) == 0)
        target[*written / 2] ^= 1;
    return status;
}
"""


@pytest.mark.parametrize(("campaign", "least"), [(encoders, 2 * QUICK.small), (engine, 80)])
def test_no_output_differs(tmp_path: Path, campaign: Callable[..., Findings], least: int) -> None:
    found = campaign(QUICK, tmp_path, 1)
    assert found.differences == []
    assert found.compared > least


@pytest.mark.skipif(platform.machine() != "x86_64", reason="the address is hashed on x86 alone")
@pytest.mark.parametrize("level", [1, 2])
def test_a_stream_whose_address_hashes_like_its_content(tmp_path: Path, level: int) -> None:
    table = tmp_path / "table"
    table.write_bytes(records(1 << 20))
    assert run_encoders(build_encoders(tmp_path), "aim", level, table) == (80, [])


def test_an_address_that_matters_is_found(tmp_path: Path) -> None:
    broken, table = tmp_path / "broken.c", tmp_path / "table"
    broken.write_text(ADDRESS_DEPENDENT)
    table.write_bytes(records(1 << 16))
    program = build_encoders(tmp_path, broken, "-Wl,--wrap=occy_gzip_segment")
    compared, differences = run_encoders(program, "vary", "gzip", 1, table, "2048", 2000, 1)
    assert compared == 2000
    assert differences
    assert "encoder in 0x" in differences[0]
