"""What becomes reachable, and in which order."""

from __future__ import annotations

from occy_fast.image.publication import Publication, PublishedBlob, PublishedIndex, PublishedRoot, images_of
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.digest import Digest
from support.image_builders import make_image
from support.publishing import published

BLOB = Descriptor("a/b", Digest.sha256(b"blob"), 4)


def index_of(*images: str) -> PublishedIndex:
    raw = repr(images).encode()
    children = tuple(published(make_image(name, "shared")) for name in images)
    return PublishedIndex(Descriptor("an/index", Digest.sha256(raw), len(raw)), raw, (*children, PublishedBlob(BLOB)))


def test_documents_are_walked_children_first_and_once() -> None:
    index, again = index_of("a", "b"), published(make_image("a", "shared"))
    walked = [digest for digest, _ in Publication((PublishedRoot(index), PublishedRoot(again))).documents()]
    assert walked[-1] == index.descriptor.digest
    assert len(walked) == len(set(walked)) == 5              # two configs, two manifests, one index
    for image in images_of(index):
        assert walked.index(image.config.digest) < walked.index(image.descriptor.digest)


def test_what_must_be_staged_is_layers_and_what_is_no_image() -> None:
    publication = Publication((PublishedRoot(index_of("a", "b")),))
    staged = [descriptor.digest for descriptor in publication.blobs()]
    assert len(staged) == 5                                  # two layers each, repeats included, and the blob
    assert staged[-1] == BLOB.digest
    documents = {digest for digest, _ in publication.documents()}
    assert publication.digests() == {*staged, *documents}
    assert len(list(publication.images())) == 2
