"""Descriptors as hypothesis makes them: with annotations, platforms and inline data."""

from __future__ import annotations

from hypothesis import strategies as st

from occy_fast.spec.descriptor import Descriptor, sorted_pairs
from occy_fast.spec.digest import Digest
from occy_fast.spec.platform import Platform

texts = st.text(st.characters(exclude_categories=["Cs"]))
platforms = st.builds(
    Platform,
    texts,
    texts,
    st.none() | st.sampled_from(["v7", "v8"]),
    st.none() | st.just("10.0"),
    st.just(()) | st.just(("win32k",)),
)
plain_descriptors = st.builds(
    Descriptor,
    st.sampled_from(["a/b", "application/vnd.oci.image.layer.v1.tar+gzip"]),
    st.binary().map(Digest.sha256),
    st.integers(0, (1 << 63) - 1),
    st.dictionaries(texts, texts).map(sorted_pairs),
    st.none() | platforms,
    st.just(()) | st.just(("https://example.com/x", "http://example.com")),
    st.none() | st.just("c/d"),
)
inline_descriptors = st.binary().map(lambda data: Descriptor("a/b", Digest.sha256(data), len(data), data=data))
descriptors = plain_descriptors | inline_descriptors
