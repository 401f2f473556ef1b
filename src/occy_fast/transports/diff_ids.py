"""diff_ids of layers that no config names, found by reading them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import TYPE_CHECKING

from occy_fast.spec.encoding import RECODABLE
from occy_fast.streams.decode import STEP, decode_whole
from occy_fast.streams.layer_pass import MAX_LAYER, FdSource, FeedSource, LayerPass, Run, WorkerPool
from occy_fast.transports.documents import sniff_address

if TYPE_CHECKING:
    from occy_fast.image.blob import Address, OpenRegion
    from occy_fast.spec.digest import Digest

DiffIdsOf = Callable[[Mapping[str, "Address"]], Mapping[str, "Digest"]]
"""Tells the diff_ids of layers by the names of their members, from where the members are."""

_MOST = 16
"""Layers under way at once: each holds a descriptor, and the pool's buffers serve them all."""


def read_diff_ids(layers: Mapping[str, Address], locator: str, limit: int = MAX_LAYER) -> dict[str, Digest]:
    """Read layers of any encoding, and return the digests of the tars inside; each place is read once.

    Args:
        layers: by the names of their members.
        limit: bytes a layer's tar may have.
    Raises:
        CorruptStream, LimitError: a layer cannot be decoded, or is larger than allowed.
        PlanStale: the archive has changed.
    """
    found: dict[Address, Digest] = {}
    names = {address: name for name, address in layers.items()}
    under_way: deque[tuple[Address, Run, ExitStack]] = deque()
    with ExitStack() as files, WorkerPool() as pool:  # the pool is left first: its threads read the files

        def end_oldest() -> None:
            address, run, opened = under_way.popleft()
            found[address] = run.wait().diff_id
            opened.close()

        for address, name in names.items():
            opened = files.enter_context(ExitStack())
            job = _pass_over(address, f"{locator}: {name}", limit, opened)
            under_way.append((address, pool.start(job), opened))
            if len(under_way) >= _MOST:
                end_oldest()
        while under_way:
            end_oldest()
    return {name: found[address] for name, address in layers.items()}


def _pass_over(address: Address, where: str, limit: int, files: ExitStack) -> LayerPass:
    codec = sniff_address(address).codec
    region = files.enter_context(address.open())
    if codec in RECODABLE:
        source = FdSource(region.fd, region.offset, region.size)
        return LayerPass(source, codec, max_tar=limit, bounded_ratio=True, where=where)
    return LayerPass(FeedSource(decode_whole(codec, _pieces(region), where)), max_tar=limit, where=where)


def _pieces(region: OpenRegion) -> Iterator[bytes]:
    for start in range(0, region.size, STEP):
        yield region.read(start, STEP)
