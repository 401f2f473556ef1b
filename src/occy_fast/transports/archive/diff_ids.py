"""diff_ids of layers that no config names, found by reading them, or as they were streamed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from occy_fast.engine.in_flight import InFlight
from occy_fast.engine.layer_job import LayerJob, Proofs
from occy_fast.errors import OccyError, Unsupported
from occy_fast.image.blob import SAVE_FIRST, Blob, StreamedBytes, read_head
from occy_fast.image.image import Layer
from occy_fast.image.place import Place
from occy_fast.spec.encoding import Encoding
from occy_fast.streams.sniff import SNIFF_SIZE, sniff

if TYPE_CHECKING:
    from occy_fast.context.call import Call
    from occy_fast.engine.layer_job import LayerProof
    from occy_fast.image.blob import Address
    from occy_fast.spec.digest import Digest

DiffIdsOf = Callable[[Mapping[str, "Address"]], Mapping[str, "Digest"]]
"""Tells the diff_ids of layers by the names of their members, from where the members are."""


def diff_ids_of(
    layers: Mapping[str, Address],
    locator: str,
    call: Call,
    proofs: Proofs,
) -> dict[str, Digest]:
    """Return the digests of the tars inside layers of any encoding; each place is read once.

    Args:
        layers: by the names of their members.
        proofs: what was found of those that were streamed, by their places.
    Raises:
        CorruptStream, LimitError: a layer cannot be decoded, or is larger than allowed.
        Unsupported: a layer was streamed, and nobody took its digest.
        PlanStale: the archive has changed.
        Cancelled: the caller asked for it.
    """
    found: dict[Address, Digest] = {}
    names: dict[Address, str] = {}
    for name, address in layers.items():
        if not isinstance(address, StreamedBytes):
            names[address] = name
            continue
        proof = proofs.get(address.place)
        if isinstance(proof, OccyError):
            raise proof.about(Place("member", name=name))
        if proof is None or proof.diff_id is None:
            error = Unsupported(f"{locator}: {name}", "its diff_id is known only from a look inside", SAVE_FIRST)
            raise error.about(Place("member", name=name))
        found[address] = proof.diff_id
    if names:
        found |= _read(names, locator, call)
    return {name: found[address] for name, address in layers.items()}


def _read(names: Mapping[Address, str], locator: str, call: Call) -> dict[Address, Digest]:
    found: dict[Address, Digest] = {}
    layers = {address: _layer(address) for address in names}
    with InFlight(call, [(layer, "read") for layer in layers.values()]) as in_flight:
        for position, (address, layer) in enumerate(layers.items()):

            def done(proof: LayerProof, address: Address = address) -> None:
                assert proof.diff_id is not None, "its tar was read"
                found[address] = proof.diff_id

            place = Place("member", name=names[address])

            def failed(error: OccyError, _: int, place: Place = place) -> None:
                raise error.about(place)

            job = LayerJob(layer, f"{locator}: {place}", read_tar=True, bounded_ratio=True)
            in_flight.start(position, job, done, failed)
        in_flight.wait_all()
    return found


def _layer(address: Address) -> Layer:
    """Return a layer of which nobody says more than where it is."""
    codec = sniff(read_head(address, SNIFF_SIZE)).codec
    return Layer(Blob(None, address.size, "", address), "", Encoding(codec), None)
