"""An OCI layout in a tar that Docker's containerd store takes in: blobs by digest, and index.json last."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from occy_fast.errors import DaemonError, PlanStale, Unsupported
from occy_fast.image.publication import PublishedImage
from occy_fast.spec.descriptor import IMAGE_NAME, REF_NAME, Descriptor, sorted_pairs
from occy_fast.spec.json import format_json
from occy_fast.spec.limits import check_written
from occy_fast.spec.media_type import OCI_INDEX
from occy_fast.spec.reference import parse_reference
from occy_fast.transports.daemon.before import Before, Expected
from occy_fast.transports.daemon.stage import DaemonStage
from occy_fast.transports.daemon.unfinished import clear_unfinished
from occy_fast.transports.layout.directory import LAYOUT_FILE

if TYPE_CHECKING:
    from occy_fast.image.publication import Publication, Published
    from occy_fast.spec.digest import Digest


@dataclass(frozen=True, slots=True)
class _Root:
    """An image or index, and all names it is to have."""

    root: Published
    names: tuple[str, ...]

    @property
    def digest(self) -> Digest:
        return self.root.descriptor.digest


class OciArchiveUpload(DaemonStage):
    """An archive whose members are called by their digests.

    containerd keeps a member whose upload was cut off under that member's name, and resumes it with whatever is sent
    next under that name. So a name must stand for the same bytes always, as a digest does; index.json alone cannot, and
    what is left of one is cleared before ours is sent.

    The archive moves no name, as containerd would forget the image that had it before it knows whether ours can be
    unpacked: names are given once everything is there.
    """

    names_by_digest = True

    def member_name(self, digest: Digest | None) -> str:
        assert digest is not None, "a member is called by its digest"
        if digest.algorithm != "sha256":
            problem = f"Docker's containerd store takes in no blobs by {digest.algorithm} digests"
            raise Unsupported(self.locator, problem, "write an OCI layout")
        return f"blobs/sha256/{digest.hex}"

    def begin_archive(self) -> None:
        self.send_document("oci-layout", LAYOUT_FILE)

    def publish(self, publication: Publication) -> None:
        roots = _roots_of(publication)
        documents = dict(publication.documents())
        self._check_blobs(publication)
        before = Before(self.client, (Expected(each.digest, each.names, _diff_ids(each.root)) for each in roots))
        index = _index(roots, before)
        check_written("manifest", len(index), f"{self.locator}: index.json")
        try:
            for digest, data in documents.items():
                self.send_document(self.member_name(digest), data)
            self._clear_index()
            self.send_document("index.json", index)
            self.end_archive()
            before.check_loaded(named=False)
            self._give_names(roots)
            before.check_loaded()
        except DaemonError as error:
            self.client.close()
            before.restore(error)
            raise

    def _check_blobs(self, publication: Publication) -> None:
        """Raise unless every blob was sent, or belongs to a manifest that is there with all that it names."""
        lacking = {descriptor.digest for descriptor in publication.blobs()} - self.sent.keys()
        left_out: dict[Digest, int] = {}
        if lacking and self.client.kind.tells_content:
            relying = [
                image
                for image in publication.images()
                if any(layer.descriptor.digest in lacking for layer in image.layers)
            ]
            with self.client.another() as client:           # ours is in the middle of the archive
                held = client.whole_manifests(image.descriptor.digest for image in relying)
            for image in relying:
                if image.descriptor.digest not in held:
                    problem = f"the daemon no longer has all of {image.descriptor.digest}"
                    raise PlanStale(self.locator, problem)
                left_out.update((layer.descriptor.digest, layer.descriptor.size) for layer in image.layers)

        def size_of(digest: Digest) -> int | None:
            member = self.sent.get(digest)
            return left_out.get(digest) if member is None else member.size

        publication.check_staged(size_of, lambda digest: f"{self.locator}: {digest}")

    def _clear_index(self) -> None:
        with self.client.another() as client:
            clear_unfinished(client, "index.json", ("oci-layout", LAYOUT_FILE))

    def _give_names(self, roots: tuple[_Root, ...]) -> None:
        with self.client.another() as client:
            for each in roots:
                for name in each.names:
                    found = client.find(name)
                    if found is None or found.image_id != each.digest:
                        client.tag(each.digest, name)


def _roots_of(publication: Publication) -> tuple[_Root, ...]:
    """Return each image and index once, with all its names."""
    found: dict[Digest, tuple[Published, dict[str, None]]] = {}
    for named in publication.roots:
        _, names = found.setdefault(named.root.descriptor.digest, (named.root, {}))
        names.update((name, None) for name in named.names)
    return tuple(_Root(root, tuple(names)) for root, names in found.values())


def _index(roots: tuple[_Root, ...], before: Before) -> bytes:
    """Format index.json: an entry per root, under a name that it has there already, or none."""
    entries = []
    for each in roots:
        known = before.find(each.digest)
        annotations = {
            key: value for key, value in each.root.descriptor.annotations if key not in (IMAGE_NAME, REF_NAME)
        }
        if known is not None and known.names:
            reference = parse_reference(known.names[0])
            annotations[IMAGE_NAME] = reference.full()
        entries.append(_described(each.root, annotations).document())
    return format_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": entries})


def _described(root: Published, annotations: dict[str, str]) -> Descriptor:
    """Return what the archive's index says of *root*; the image the daemon keeps is described by the same words."""
    descriptor = root.descriptor
    return Descriptor(
        descriptor.media_type, descriptor.digest, descriptor.size, annotations=sorted_pairs(annotations)
    )


def _diff_ids(root: Published) -> tuple[Digest, ...] | None:
    if not isinstance(root, PublishedImage) or root.artifact:
        return None
    diff_ids = tuple(layer.diff_id for layer in root.layers if layer.diff_id is not None)
    return diff_ids if len(diff_ids) == len(root.layers) else None
