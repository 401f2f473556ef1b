"""What an index says of an image is found by what it speaks of."""

from __future__ import annotations

from dataclasses import replace

from occy_fast.image.attestation import digest_of, is_attestation, named_subject, subject_of, with_referrers
from occy_fast.image.image import Opaque
from occy_fast.spec.descriptor import Descriptor
from occy_fast.spec.platform import Platform
from support.contents import absent, attestation, digest, image, index


def speaking_of(name: str, about: str, key: str = "vnd.docker.reference.digest") -> Opaque:
    return Opaque(Descriptor("a/b", digest(name), 1, annotations=((key, about),)), None)


def test_an_attestation_is_told_by_its_descriptor() -> None:
    of = image("a")
    made = attestation(of)
    assert [is_attestation(node) for node in (made, of, absent("x"), index(of))] == [True, False, False, False]
    assert not is_attestation(replace(made, descriptor=None))
    assert made.descriptor is not None
    nowhere = replace(made.descriptor, annotations=(), platform=Platform("unknown", "unknown"))
    assert is_attestation(replace(made, descriptor=nowhere))
    assert is_attestation(speaking_of("x", "sha256:1", "io.containerd.manifest.subject"))


def test_whom_it_speaks_of() -> None:
    of = image("a")
    assert subject_of(attestation(of)) == str(of.digest)
    assert subject_of(of) is None
    assert subject_of(absent("x")) is None
    assert named_subject(speaking_of("x", "sha256:1").descriptor) == "sha256:1"


def test_what_speaks_of_what_speaks_of_it_goes_along() -> None:
    first, second, other = speaking_of("first", "root"), speaking_of("second", str(digest("first"))), absent("other")
    found = with_referrers(["root"], [second, first, other])
    assert found == {"root", digest_of(first), digest_of(second)}
    assert with_referrers([], [first, second, other]) == frozenset()


def test_who_has_no_digest() -> None:
    assert digest_of(image("a", manifest=False)) == ""
