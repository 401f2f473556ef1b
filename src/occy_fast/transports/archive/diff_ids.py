"""diff_ids of layers that no config names, found by reading them, or as they came by."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from occy_fast.errors import Unsupported
from occy_fast.image.blob import SAVE_FIRST, PassedBytes, read_head
from occy_fast.spec.encoding import RECODABLE
from occy_fast.streams.decode import STEP, decode_whole
from occy_fast.streams.layer_pass import FdSource, FeedSource, LayerPass, Run, WorkerPool
from occy_fast.streams.sniff import SNIFF_SIZE, sniff

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.image.blob import Address, OpenRegion
    from occy_fast.spec.digest import Digest

DiffIdsOf = Callable[[Mapping[str, "Address"]], Mapping[str, "Digest"]]
"""Tells the diff_ids of layers by the names of their members, from where the members are."""

_MOST = 16
"""Layers under way at once: each holds a descriptor, and the pool's buffers serve them all."""


def diff_ids_of(layers: Mapping[str, Address], locator: str, call: Call) -> dict[str, Digest]:
    """Return the digests of the tars inside layers of any encoding; each place is read once.

    Args:
        layers: by the names of their members.
    Raises:
        CorruptStream, LimitError: a layer cannot be decoded, or is larger than allowed.
        Unsupported: a layer has come by, and nobody took its digest.
        PlanStale: the archive has changed.
    """
    found: dict[Address, Digest] = {}
    names: dict[Address, str] = {}
    for name, address in layers.items():
        if not isinstance(address, PassedBytes):
            names[address] = name
        elif address.error is not None:
            raise address.error
        elif address.diff_id is None:
            raise Unsupported(f"{locator}: {name}", "its diff_id is known only from a look inside", SAVE_FIRST)
        else:
            found[address] = address.diff_id
    if names:
        found |= _read(names, locator, call)
    return {name: found[address] for name, address in layers.items()}


def _read(names: Mapping[Address, str], locator: str, call: Call) -> dict[Address, Digest]:
    found: dict[Address, Digest] = {}
    under_way: deque[tuple[Address, Run, ExitStack]] = deque()
    with ExitStack() as files, WorkerPool(call.workers) as pool:  # the pool is left first: its threads read the files

        def end_oldest() -> None:
            address, run, opened = under_way.popleft()
            found[address] = run.wait(cancelled=call.cancel.is_set).diff_id
            opened.close()

        for address, name in names.items():
            opened = files.enter_context(ExitStack())
            job = _pass_over(address, f"{locator}: {name}", call, opened)
            under_way.append((address, pool.start(job), opened))
            if len(under_way) >= _MOST:
                end_oldest()
        while under_way:
            end_oldest()
    return found


def _pass_over(address: Address, where: str, call: Call, files: ExitStack) -> LayerPass:
    limits = call.limits
    codec = sniff(read_head(address, SNIFF_SIZE)).codec
    region = files.enter_context(address.open())
    if codec in RECODABLE:
        source = FdSource(region.fd, region.offset, region.size)
        return LayerPass(source, codec, max_tar=limits.layer, bounded_ratio=True, limits=limits, where=where)
    buffers = decode_whole(codec, _pieces(region), where, limits)
    return LayerPass(FeedSource(buffers), max_tar=limits.layer, limits=limits, where=where)


def _pieces(region: OpenRegion) -> Iterator[bytes]:
    for start in range(0, region.size, STEP):
        yield region.read(start, STEP)
