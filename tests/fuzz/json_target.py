"""Feed the strict JSON reader damaged documents: what it accepts, the standard library reads alike."""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from occy_fast.errors import BadJSON, DuplicateKey, ManifestTooLarge
from occy_fast.spec.json import FREE_MAPS, format_json, parse_json
from occy_fast.spec.limits import LIMITS, Limits

LIMIT = 1 << 14

TOKENS = [
    *(b'{ } [ ] , : " \\ null true false NaN -Infinity Infinity 0 -0 1 -1 01 1. .5 1e5 1E400 -1e-400 0x10 +1'.split()),
    *(b"9223372036854775807 9223372036854775808 -9223372036854775808 -9223372036854775809".split()),
    *(rb"\u0000 \ud800 \udc00 \ud83d\ude00 \u00e9 \n \/ \x \u12 \\ \" ".split()),
    *("é \u017f \u212a \u0130 \U0001f600 \ufb00 \u2028 \ufeff".encode().split(b" ")),
    *(b'"size" "Size" "SIZE" "labels" "Labels" "annotations" "k" "" "mediaType" "mediatype" "__proto__"'.split()),
    b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\0", b"\x1f", b" ", b"\t", b"\r\n", b"\x0c",
    b"/**/", b"'a'",
    b"[" * 64, b"]" * 64, b'{"a":' * 32, b"}" * 32, b"1" * 30,
]  # fmt: skip

SEEDS = [
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"size":7,"digest":"sha256:00"},'
    b'"layers":[{"size":1,"annotations":{"a":"b","A":"c"}}]}',
    b'{"architecture":"amd64","os":"linux","config":{"Labels":{"x":"1","X":"2"},"Env":["A=\\u00e9"]},"rootfs":{"type":'
    b'"layers","diff_ids":[]},"history":[{"created":"2020-01-01T00:00:00Z","empty_layer":true}]}',
    b'[{"Config":"a.json","RepoTags":["a:1"],"Layers":["x/layer.tar"]}]',
    b'[1,-2,3.5,1e10,"\\ud83d\\ude00",null,true,[],{}]',
    b'"text"', b"0", b"", b"[" * 64 + b"]" * 64, b"[" * 65 + b"]" * 65,
]  # fmt: skip


def mutated(source: random.Random, pool: list[bytes]) -> bytes:
    """Return one of *pool*, damaged in a few places."""
    raw = bytearray(source.choice(pool))
    for _ in range(source.choice((0, 1, 1, 1, 2, 3, 8))):
        at = source.randint(0, len(raw))
        match source.randrange(8):
            case 0 if raw:
                raw[min(at, len(raw) - 1)] = source.randrange(256)
            case 1:
                del raw[at : at + source.choice((1, 1, 2, 5, 40))]
            case 2:
                other = source.choice(pool)
                begin = source.randint(0, len(other))
                raw[at:at] = other[begin : begin + source.choice((3, 20, 200))]
            case 3:
                raw[at : at + 1] = source.choice(TOKENS)
            case 4:                     # an object's key once more
                raw[at:at] = raw[max(0, at - source.randint(1, 60)) : at]
            case 5:
                raw[at:at] = source.choice((b",", b":", b'"', b'{"a":', b"}", b"["))
            case 6 if raw:
                raw[min(at, len(raw) - 1)] ^= 0x20
            case _:
                raw[at:at] = source.choice(TOKENS)
    return bytes(raw)


class Pairs(tuple[Any, ...]):
    """An object as the standard library met it, keys that came twice included."""


def reasons(value: Any, *, free: bool = False, depth: int = 1) -> Iterator[str]:
    """Yield what a strict reader may have against a *value* that the standard library accepts."""
    if isinstance(value, (Pairs, list)) and depth > LIMITS.json_depth:
        yield "levels"
        return
    if isinstance(value, Pairs):
        keys = [key for key, _ in value]
        if len(set(keys)) < len(keys) or (not free and len({key.casefold() for key in keys}) < len(keys)):
            yield "key"
        for key, item in value:
            yield from reasons(key)
            yield from reasons(item, free=key.casefold() in FREE_MAPS, depth=depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from reasons(item, depth=depth + 1)
    elif isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            yield "surrogate"
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            yield "number"
    elif isinstance(value, int) and not -(1 << 63) <= value < 1 << 63:
        yield "number"


def one_input(raw: bytes) -> None:
    """Read *raw* both ways, and compare."""
    try:
        accepted, why = parse_json(raw, "fuzz", Limits(manifest=LIMIT), "manifest"), None
    except (BadJSON, DuplicateKey, ManifestTooLarge) as error:
        accepted, why = None, error
        str(error)
    try:
        text = raw.decode("utf-8")
        theirs, found = json.loads(text, object_pairs_hook=Pairs), None
    except RecursionError:
        assert why is not None
        return
    except ValueError as error:
        theirs, found = None, error
    if why is None:
        assert found is None, f"accepted, and the standard library does not: {found}"
        assert not list(reasons(theirs)), f"accepted with {list(reasons(theirs))}"
        assert json.loads(text) == accepted
        written = format_json(accepted)
        assert parse_json(written, "fuzz", LIMITS, "manifest") == accepted
        assert format_json(parse_json(written, "fuzz", LIMITS, "manifest")) == written
    elif found is None:
        assert len(raw) > LIMIT or text.startswith("\ufeff") or list(reasons(theirs)), f"refused for nothing: {why}"


def fuzz(seconds: float, executions: int, seed: int, seeds: list[bytes], artifact: Path) -> int:
    """Run until one of the two limits, and return how many inputs that were."""
    source, pool, done, end = random.Random(seed), SEEDS + seeds, 0, time.monotonic() + seconds
    while done < executions and (done % 256 or time.monotonic() < end):
        raw = mutated(source, pool)
        try:
            one_input(raw)
        except BaseException:
            artifact.write_bytes(raw)
            print(f"found after {done} executions (seed {seed}), input in {artifact}", file=sys.stderr)
            raise
        done += 1
        if done % 64 == 0 and len(raw) < 2000:      # what became of a seed is a seed
            pool.append(raw)
            if len(pool) > 4000:
                del pool[len(SEEDS) + source.randrange(3000)]
    return done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("seeds", nargs="*", type=Path, help="directories of documents")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--executions", type=int, default=sys.maxsize)
    parser.add_argument("--seed", type=int, default=time.time_ns() % (1 << 32))
    parser.add_argument("--artifact", type=Path, default=Path("json-found"))
    parser.add_argument("--replay", type=Path, help="run this input alone")
    options = parser.parse_args()
    if options.replay:
        one_input(options.replay.read_bytes())
        return
    found = [path.read_bytes() for directory in options.seeds for path in sorted(directory.iterdir())]
    seeds = [raw for raw in found if len(raw) <= LIMIT]
    done = fuzz(options.seconds, options.executions, options.seed, seeds, options.artifact)
    print(f"stat::number_of_executed_units: {done}")


if __name__ == "__main__":
    main()
