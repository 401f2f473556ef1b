"""(image, goal, facts) -> printed plan."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from occy_fast.errors import (
    AmbiguousReference,
    DigestMismatch,
    LayerCountMismatch,
    MediaTypeConflict,
    MissingPlatform,
    NotFound,
    OccyError,
    Unsupported,
    UnsupportedMediaType,
)
from occy_fast.planning.facts import EncoderFact, Facts
from occy_fast.planning.planner import make_plan
from occy_fast.planning.steps import Copy, Recode
from occy_fast.spec.encoding import Encoding
from occy_fast.spec.limits import LIMITS
from support.contents import DAEMON, absent, attestation, contents, digest, image, index, layer, unnamed
from support.plans import FACTS, ZSTD, goal, plan_of, printed, printed_daemon

TABLE: dict[str, tuple[Any, str]] = {
    "kept": (
        lambda: printed(contents(image("a", "b.gzip", "c.zstd"), names=["app:1"]), goal()),
        """\
oci:in -> oci:out
docker.io/library/app:1
  linux/amd64: oci manifest kept, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, kept
    3  sha256:f4816ab7ffd3    1.0 MB  copy              zstd, kept
copies 3.0 MB; verifies blobs
""",
    ),
    "zstd is met by any zstd": (
        lambda: printed(contents(image("a", "b.gzip", "c.zstd"), names=["app:1"]), goal("zstd")),
        """\
oci:in -> oci:out
docker.io/library/app:1
  linux/amd64: oci manifest edited, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
    2  sha256:2f4f42861352    1.0 MB  gzip -> zstd:3    asked for
    3  sha256:f4816ab7ffd3    1.0 MB  copy              zstd, as asked for
copies 1.0 MB; recodes 2.0 MB; writes about 2.2 MB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
""",
    ),
    "a level is always by our encoder": (
        lambda: printed(contents(image("a", "b.gzip", "c.zstd")), goal("zstd:3")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
    2  sha256:2f4f42861352    1.0 MB  gzip -> zstd:3    asked for
    3  sha256:f4816ab7ffd3    1.0 MB  zstd -> zstd:3    asked for
recodes 3.0 MB; writes about 2.2 MB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
""",
    ),
    "none is met by none": (
        lambda: printed(contents(image("a", "b.gzip", "c.zstd")), goal("none")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, as asked for
    2  sha256:2f4f42861352    1.0 MB  gzip -> none      asked for
    3  sha256:f4816ab7ffd3    1.0 MB  zstd -> none      asked for
copies 1.0 MB; recodes 2.0 MB; writes about 6.7 MB; verifies blobs
""",
    ),
    "strict reading looks into every layer": (
        lambda: printed(
            contents(image("a", "b.gzip", "c.zstd")),
            goal("gzip", strict=True),
            facts=replace(FACTS, present=frozenset({digest("b.gzip")})),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> gzip:2    asked for; its tar is read strictly
    2  sha256:2f4f42861352    1.0 MB  skip              there already; its tar is read strictly
    3  sha256:f4816ab7ffd3    1.0 MB  zstd -> gzip:2    asked for; its tar is read strictly
recodes 2.0 MB; writes about 1.5 MB; verifies blobs, reads tars strictly
""",
    ),
    "strict copies": (
        lambda: printed(contents(image("a", "b.gzip")), goal(strict=True)),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept; its tar is read strictly
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, kept; its tar is read strictly
copies 2.0 MB; verifies blobs, reads tars strictly
""",
    ),
    "there already": (
        lambda: printed(
            contents(image("a", "b.gzip")), goal(), facts=replace(FACTS, present=frozenset({digest("b.gzip")}))
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:2f4f42861352    1.0 MB  skip              there already
copies 1.0 MB; verifies blobs
""",
    ),
    "linked where that can be": (
        lambda: printed(
            contents(image("a", "b.gzip", "c.gzip")),
            goal(link=True),
            facts=replace(FACTS, links=frozenset({digest("a"), digest("b.gzip")})),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  link              the source's own file; copied where that cannot be
    2  sha256:2f4f42861352    1.0 MB  link              the source's own file; copied where that cannot be
    3  sha256:4d4d73cdab2a    1.0 MB  copy              gzip, kept
copies 1.0 MB; shares 2.0 MB; verifies blobs
note: 1 layer copied, not linked: no whole file on the destination's file system
""",
    ),
    "what is there is proved there": (
        lambda: printed(
            contents(image("a", "b.gzip", "c.zstd")),
            goal(verify="destination", link=True),
            facts=replace(
                FACTS, present=frozenset({digest("a"), digest("b.gzip")}), links=frozenset({digest("b.gzip")})
            ),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  skip              there already, if proved there; else copy; its tar is verified
    2  sha256:2f4f42861352    1.0 MB  skip              there already, if proved there; else link; its tar is verified
    3  sha256:f4816ab7ffd3    1.0 MB  copy              zstd, kept; its tar is verified
copies 1.0 MB; verifies layers, and what the destination has
note: 1 layer copied, not linked: no whole file on the destination's file system
""",
    ),
    "nothing is there in an archive, and nothing to be proved": (
        lambda: printed(contents(image("a")), goal(verify="destination"), archive=True),
        """\
oci:in -> docker-archive:out.tar
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies layers, and what the destination has
""",
    ),
    "links are not made unasked": (
        lambda: printed(contents(image("a")), goal(), facts=replace(FACTS, links=frozenset({digest("a")}))),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
""",
    ),
    "an archive can neither link nor share": (
        lambda: printed(
            contents(image("a")),
            goal(link=True),
            facts=replace(FACTS, links=frozenset({digest("a")}), reflinks=frozenset({digest("a")})),
            archive=True,
        ),
        """\
oci:in -> docker-archive:out.tar
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
note: 1 layer copied, not linked: docker-archive is one file, which shares none of its layers
""",
    ),
    "what is there is read where its tar is to be verified": (
        lambda: printed(
            contents(image("a", "b.gzip")),
            goal(verify="layers"),
            facts=replace(FACTS, present=frozenset({digest("a"), digest("b.gzip")})),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  skip              there already; its tar is verified
    2  sha256:2f4f42861352    1.0 MB  skip              there already; its tar is verified
verifies layers
""",
    ),
    "blocks are shared": (
        lambda: printed(contents(image("a")), goal(), facts=replace(FACTS, reflinks=frozenset({digest("a")}))),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  reflink           the source's own file; copied where that cannot be
shares 1.0 MB; verifies blobs
""",
    ),
    "recoding beats what is there": (
        lambda: printed(contents(image("a")), goal("zstd"), facts=replace(FACTS, present=frozenset({digest("a")}))),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
recodes 1.0 MB; writes about 330.0 kB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
""",
    ),
    "layers verified": (
        lambda: printed(
            contents(image("a", "b.gzip", "c.zstd")),
            goal(verify="layers"),
            facts=replace(FACTS, present=frozenset({digest("c.zstd")})),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, kept; its tar is verified
    3  sha256:f4816ab7ffd3    1.0 MB  skip              there already; its tar is verified
copies 2.0 MB; verifies layers
""",
    ),
    "an archive s compressed layer has no digest": (
        lambda: printed(
            contents(image("a", unnamed("b.gzip"), manifest=False), names=["app:1"], locator="docker-archive:in.tar"),
            goal(),
        ),
        """\
docker-archive:in.tar -> oci:out
docker.io/library/app:1
  linux/amd64: oci manifest made, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:3e23e8160039    1.0 MB  copy              gzip, kept; its tar is verified
copies 2.0 MB; verifies blobs
""",
    ),
    "equal layers once": (
        lambda: printed(contents(image("a", "b.gzip", "a"), image("a.zstd", "b.gzip")), goal("zstd:3")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (299 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
    2  sha256:2f4f42861352    1.0 MB  gzip -> zstd:3    asked for
    3  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    the same as above, done once
without a name
  linux/amd64: oci manifest edited, config kept (225 B)
    1  sha256:a317bad0ecfb    1.0 MB  zstd -> zstd:3    the same as above, done once
    2  sha256:2f4f42861352    1.0 MB  gzip -> zstd:3    the same as above, done once
recodes 2.0 MB; writes about 1.2 MB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
""",
    ),
    "an archive turns zstd plain": (
        lambda: printed(
            contents(image("a.zstd", "b.zstd", "c", "d.zstd", "e.gzip"), names=["app:1"]), goal(), archive=True
        ),
        """\
oci:in -> docker-archive:out.tar
docker.io/library/app:1
  linux/amd64: oci manifest edited, config kept (447 B)
    1  sha256:a317bad0ecfb    1.0 MB  zstd -> none      zstd cannot stay
    2  sha256:2337dfb597a7    1.0 MB  zstd -> none      zstd cannot stay
    3  sha256:2e7d2c03a950    1.0 MB  copy              none, kept
    4  sha256:fdd1ec6fbf4d    1.0 MB  zstd -> none      zstd cannot stay
    5  sha256:735ff24c121e    1.0 MB  copy              gzip, kept
copies 2.0 MB; recodes 3.0 MB, one layer at a time; writes about 11.1 MB; verifies blobs
note: docker-archive cannot hold zstd: layers 1-2, 4 become uncompressed
""",
    ),
    "recoded one by one behind the copies": (
        lambda: printed(contents(image("a.zstd", "b.gzip")), goal("gzip"), archive=True),
        """\
oci:in -> docker-archive:out.tar
without a name
  linux/amd64: oci manifest edited, config kept (225 B)
    1  sha256:a317bad0ecfb    1.0 MB  zstd -> gzip:2    asked for
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, as asked for
copies 1.0 MB; recodes 1.0 MB, one layer at a time; writes about 2.2 MB; verifies blobs
""",
    ),
    "an xz layer of an archive": (
        lambda: printed(contents(image("a.xz", "b.bzip2", manifest=False), locator="docker-archive:in.tar"), goal()),
        """\
docker-archive:in.tar -> oci:out
without a name
  linux/amd64: oci manifest made, config kept (225 B)
    1  sha256:7c8dc8f94225    1.0 MB  xz -> none        xz cannot stay
    2  sha256:483f9dd97bac    1.0 MB  bzip2 -> none     bzip2 cannot stay
recodes 2.0 MB; writes about 6.6 MB; verifies blobs
note: oci cannot hold bzip2 or xz: layers 1-2 become uncompressed
""",
    ),
    "docker media types": (
        lambda: printed(contents(image("a", "b.gzip")), goal(format="docker")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: docker manifest edited, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, kept
copies 2.0 MB; verifies blobs
""",
    ),
    "docker media types there already": (
        lambda: printed(contents(image("a", "b.gzip", family="docker")), goal(format="docker")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: docker manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
    2  sha256:2f4f42861352    1.0 MB  copy              gzip, kept
copies 2.0 MB; verifies blobs
""",
    ),
    "zstd is demanded under docker s types": (
        lambda: printed(contents(image("a")), goal("zstd", format="docker")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: docker manifest edited, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
recodes 1.0 MB; writes about 330.0 kB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
""",
    ),
    "docker s zstd is kept": (
        lambda: printed(contents(image("a.zstd", family="docker")), goal()),
        """\
oci:in -> oci:out
without a name
  linux/amd64: docker manifest kept, config kept (151 B)
    1  sha256:a317bad0ecfb    1.0 MB  copy              zstd, kept
copies 1.0 MB; verifies blobs
""",
    ),
    "whole index": (
        lambda: printed(contents(index(image("a"), image("a", "b", architecture="arm64"))), goal()),
        """\
oci:in -> oci:out
without a name
  oci index of 2, kept
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
  linux/arm64: oci manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              the same as above, done once
    2  sha256:3e23e8160039    1.0 MB  copy              none, kept
copies 2.0 MB; verifies blobs
""",
    ),
    "index of docker types": (
        lambda: printed(contents(index(image("a"), image("b", architecture="arm64"))), goal(format="docker")),
        """\
oci:in -> oci:out
without a name
  docker index of 2, edited
  linux/amd64: docker manifest edited, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
  linux/arm64: docker manifest edited, config kept (151 B)
    1  sha256:3e23e8160039    1.0 MB  copy              none, kept
copies 2.0 MB; verifies blobs
""",
    ),
    "pruned": (
        lambda: printed(
            contents(index(image("a"), image("b", architecture="arm64"), image("c", architecture="s390x"))),
            goal(platforms=["linux/amd64", "linux/s390x"]),
        ),
        """\
oci:in -> oci:out
without a name
  oci index of 2, edited
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
  linux/s390x: oci manifest kept, config kept (151 B)
    1  sha256:2e7d2c03a950    1.0 MB  copy              none, kept
copies 2.0 MB; verifies blobs
note: stays behind: linux/arm64
""",
    ),
    "one platform leaves its index": (
        lambda: printed(contents(index(image("a"), image("b", architecture="arm64"))), goal(platforms=["linux/arm64"])),
        """\
oci:in -> oci:out
without a name
  linux/arm64: oci manifest kept, config kept (151 B)
    1  sha256:3e23e8160039    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
note: stays behind: linux/amd64
""",
    ),
    "an attestation goes with its image": (
        lambda: printed(
            contents(
                index(
                    image("a"),
                    image("b", architecture="arm64"),
                    image("c", architecture="s390x"),
                    attestation(image("a")),
                    attestation(image("c", architecture="s390x")),
                )
            ),
            goal(platforms=["linux/amd64", "linux/arm64"]),
        ),
        """\
oci:in -> oci:out
without a name
  oci index of 3, edited
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
  linux/arm64: oci manifest kept, config kept (151 B)
    1  sha256:3e23e8160039    1.0 MB  copy              none, kept
  artifact: oci manifest kept, config kept (153 B)
    1  sha256:b7ca5b32b916    1.0 MB  copy              as it is
copies 3.0 MB; verifies blobs
note: stays behind: linux/s390x
note: stays behind: 1 attestation or artifact of the index
""",
    ),
    "an attestation of what changes": (
        lambda: printed(contents(index(image("a"), attestation(image("a")))), goal("zstd")),
        """\
oci:in -> oci:out
without a name
  oci index of 2, edited
  linux/amd64: oci manifest edited, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  none -> zstd:3    asked for
  artifact: oci manifest kept, config kept (153 B)
    1  sha256:b7ca5b32b916    1.0 MB  copy              as it is
copies 1.0 MB; recodes 1.0 MB; writes about 1.3 MB; verifies blobs
encoder: zstd:3 by libzstd 1.5.7 in segments of 2097152 (native-1)
note: stays as it is: 1 attestation or artifact of the index
note: an attestation speaks of the manifest as it was: sha256:055ecb632fb2
""",
    ),
    "an archive takes the image of an index": (
        lambda: printed(contents(index(image("a"), attestation(image("a")))), goal(), archive=True),
        """\
oci:in -> docker-archive:out.tar
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
note: stays behind: 1 attestation or artifact of the index; oci: and oci-archive: hold all of it
""",
    ),
    "a child that is absent": (
        lambda: printed(contents(index(image("a"), absent("b"))), goal()),
        """\
oci:in -> oci:out
without a name
  oci index of 2, kept
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
note: named by the index, but stays behind: sha256:3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d
""",
    ),
    "an artifact travels as it is": (
        lambda: printed(
            contents(
                image("a", "b.gzip", config_type="application/vnd.example+json", label="application/vnd.example.blob")
            ),
            goal("keep", format="oci", verify="blobs"),
        ),
        """\
oci:in -> oci:out
without a name
  artifact: oci manifest kept, config kept (225 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              as it is
    2  sha256:2f4f42861352    1.0 MB  copy              as it is
copies 2.0 MB; verifies blobs
""",
    ),
    "an encrypted layer travels as it is": (
        lambda: printed(
            contents(image("a.gzip", label="application/vnd.oci.image.layer.v1.tar+gzip+encrypted")),
            goal("keep"),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:44ae3d5254d9    1.0 MB  copy              as it is
copies 1.0 MB; verifies blobs
""",
    ),
    "a wrong label is mended by recoding": (
        lambda: printed(contents(image("a.zstd", label="application/vnd.oci.image.layer.v1.tar+gzip")), goal("none")),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (151 B)
    1  sha256:a317bad0ecfb    1.0 MB  zstd -> none      asked for
recodes 1.0 MB; writes about 3.0 MB; verifies blobs
""",
    ),
    "named anew in a layout": (
        lambda: printed(contents(image("a"), names=["app:1"]), goal(), reference="latest"),
        """\
oci:in -> oci:out
latest
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
""",
    ),
    "named anew by a full name": (
        lambda: printed(contents(image("a"), names=["app:1"]), goal(), reference="ghcr.io/me/app:2"),
        """\
oci:in -> oci:out
ghcr.io/me/app:2
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
""",
    ),
    "named anew in an archive": (
        lambda: printed(contents(image("a"), names=["app:1"]), goal(), archive=True, reference="docker.io/library/x:1"),
        """\
oci:in -> docker-archive:out.tar
docker.io/library/x:1
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
""",
    ),
    "room and memory": (
        lambda: printed(
            contents(image("a.zstd", "b")),
            goal("zstd:19"),
            facts=Facts(
                encoders=(EncoderFact(Encoding("zstd", 19), replace(ZSTD, level=19), 60_000_000),),
                windows=((digest("a.zstd"), 120_000_000),),
                workers=2,
                free=5_000_000,
            ),
        ),
        """\
oci:in -> oci:out
without a name
  linux/amd64: oci manifest edited, config kept (225 B)
    1  sha256:a317bad0ecfb    1.0 MB  zstd -> zstd:19   asked for
    2  sha256:3e23e8160039    1.0 MB  none -> zstd:19   asked for
recodes 2.0 MB; writes about 1.3 MB; 5.0 MB free; verifies blobs
encoder: zstd:19 by libzstd 1.5.7 in segments of 2097152 (native-1)
memory: 240.0 MB more than usual
""",
    ),
}
TABLE["a daemon gets what it lacks, copies first"] = (
    lambda: printed_daemon(contents(image("a", "b.gzip", "c.zstd", "d.gzip"), names=["app:1"]), goal(), "a", "b"),
    """\
oci:in -> docker-daemon:
docker.io/library/app:1
  linux/amd64: config kept (373 B)
    1  sha256:ca978112ca1b    1.0 MB  skip              unpacked there already
    2  sha256:2f4f42861352    1.0 MB  skip              unpacked there already
    3  sha256:f4816ab7ffd3    1.0 MB  zstd -> none      zstd cannot stay
    4  sha256:aa51ab05ff3e    1.0 MB  copy              gzip, kept
copies 1.0 MB; recodes 1.0 MB; writes about 4.0 MB; verifies blobs
note: docker-daemon cannot hold zstd: layer 3 becomes uncompressed
note: 1 recoded layer in a temporary file without a name until the size is known
""",
)
TABLE["a layer upon another one is not the layer a daemon has"] = (
    lambda: printed_daemon(contents(image("b", "a"), names=["app:1"]), goal(), "a", "b"),
    """\
oci:in -> docker-daemon:
docker.io/library/app:1
  linux/amd64: config kept (225 B)
    1  sha256:3e23e8160039    1.0 MB  copy              none, kept
    2  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 2.0 MB; verifies blobs
""",
)
TABLE["a layer that is there is proved all the same"] = (
    lambda: printed_daemon(contents(image("a.gzip"), names=["app:1"]), goal(verify="layers"), "a"),
    """\
oci:in -> docker-daemon:
docker.io/library/app:1
  linux/amd64: config kept (151 B)
    1  sha256:44ae3d5254d9    1.0 MB  skip              unpacked there already; its tar is verified
verifies layers
""",
)
TABLE["further names"] = (
    lambda: printed(
        contents(image("a"), names=["app:1"]), goal(tags=("x.io/b:2", "docker.io/library/app:1")), archive=True
    ),
    """\
oci:in -> docker-archive:out.tar
docker.io/library/app:1, x.io/b:2
  linux/amd64: oci manifest kept, config kept (151 B)
    1  sha256:ca978112ca1b    1.0 MB  copy              none, kept
copies 1.0 MB; verifies blobs
""",
)


@pytest.mark.parametrize("name", TABLE)
def test_the_plan_that_is_printed(name: str) -> None:
    make, expected = TABLE[name]
    assert make() + "\n" == expected


FAILURES: dict[str, tuple[Any, type[OccyError], str]] = {
    "docker's types and zstd layers": (
        lambda: plan_of(contents(image("a.zstd")), goal(format="docker")),
        Unsupported,
        "name an encoding",
    ),
    "docker's types and zstd layers, to be kept": (
        lambda: plan_of(contents(image("a.zstd")), goal("keep", format="docker")),
        Unsupported,
        "name an encoding",
    ),
    "an archive is to keep zstd": (
        lambda: plan_of(contents(image("a.zstd")), goal("keep"), archive=True),
        Unsupported,
        "cannot hold the zstd",
    ),
    "an archive is to get zstd": (
        lambda: plan_of(contents(image("a")), goal("zstd"), archive=True),
        Unsupported,
        "it holds gzip, none",
    ),
    "a layout is to keep xz": (
        lambda: plan_of(contents(image("a.xz", manifest=False)), goal("keep")),
        Unsupported,
        "cannot hold the xz",
    ),
    "a level that no encoder has": (
        lambda: plan_of(contents(image("a")), goal("gzip:9")),
        Unsupported,
        "gzip has no level 9",
    ),
    "an archive holds one platform": (
        lambda: plan_of(contents(index(image("a"), image("b", architecture="arm64"))), goal(), archive=True),
        AmbiguousReference,
        "linux/amd64, linux/arm64 (name one, as --platform linux/amd64 does)",
    ),
    "an archive is to hold two platforms": (
        lambda: plan_of(
            contents(index(image("a"), image("b", architecture="arm64"))),
            goal(platforms=["linux/amd64", "linux/arm64"]),
            archive=True,
        ),
        AmbiguousReference,
        "name one, as --platform",
    ),
    "several images and one name": (
        lambda: plan_of(contents(image("a"), image("b"), names=["one:1", "two:2"]), goal(), reference="x"),
        AmbiguousReference,
        "@0 (docker.io/library/one:1, linux/amd64, sha256:",
    ),
    "a platform that is not there": (
        lambda: plan_of(contents(index(image("a"), image("b", architecture="arm64"))), goal(platforms=["linux/s390x"])),
        MissingPlatform,
        "no image for linux/s390x; offered are: linux/amd64, linux/arm64",
    ),
    "one of two platforms is not there": (
        lambda: plan_of(contents(index(image("a"))), goal(platforms=["linux/amd64", "linux/s390x"])),
        MissingPlatform,
        "no image for linux/s390x",
    ),
    "the platform of a single image": (
        lambda: plan_of(contents(image("a")), goal(platforms=["linux/arm64"])),
        MissingPlatform,
        "offered are: linux/amd64",
    ),
    "an artifact in an archive": (
        lambda: plan_of(
            contents(image("a", config_type="application/vnd.example+json", label="application/vnd.example.blob")),
            goal(),
            archive=True,
        ),
        Unsupported,
        "cannot hold artifacts",
    ),
    "an artifact is to be recoded": (
        lambda: plan_of(contents(artifact()), goal("zstd")),
        Unsupported,
        "an artifact travels as it is",
    ),
    "an artifact is to get docker's types": (
        lambda: plan_of(contents(artifact()), goal(format="docker")),
        Unsupported,
        "an artifact travels as it is",
    ),
    "the tar in an encrypted layer is to be verified": (
        lambda: plan_of(
            contents(image("a.gzip", label="application/vnd.oci.image.layer.v1.tar+gzip+encrypted")),
            goal(verify="layers"),
        ),
        Unsupported,
        "--verify blobs",
    ),
    "a daemon gives nothing back to be proved": (
        lambda: make_plan(
            contents(image("a")),
            goal(verify="destination"),
            DAEMON,
            FACTS,
            destination="docker-daemon:app:1",
            limits=LIMITS,
        ),
        Unsupported,
        "--verify layers",
    ),
    "the tar in an encrypted layer is to be verified at the destination": (
        lambda: plan_of(
            contents(image("a.gzip", label="application/vnd.oci.image.layer.v1.tar+gzip+encrypted")),
            goal(verify="destination"),
        ),
        Unsupported,
        "--verify blobs",
    ),
    "no image at all": (lambda: plan_of(contents(), goal()), NotFound, "oci:in: image not found"),
    "an index whose images are all absent": (
        lambda: plan_of(contents(index(absent("a"))), goal()),
        NotFound,
        "oci:in: image not found",
    ),
    "an encrypted layer is to be recoded": (
        lambda: plan_of(
            contents(image("a.gzip", label="application/vnd.oci.image.layer.v1.tar+gzip+encrypted")), goal("zstd")
        ),
        UnsupportedMediaType,
        "cannot be recoded",
    ),
    "a wrong label cannot be copied": (
        lambda: plan_of(contents(image("a.zstd", label="application/vnd.oci.image.layer.v1.tar+gzip")), goal()),
        MediaTypeConflict,
        "found zstd bytes",
    ),
    "an uncompressed layer whose digest is not its diff_id": (
        lambda: plan_of(contents(image({**layer("a"), "diff_id": digest("b")})), goal()),
        DigestMismatch,
        "diff_id",
    ),
    "who wants proof gets no config that was edited": (
        lambda: plan_of(contents(replace(image("a"), config_file_digest=digest("b"))), goal(verify="layers")),
        DigestMismatch,
        "config, by its name",
    ),
    "more layers than diff_ids": (
        lambda: plan_of(contents(short_config(image("a", "b"))), goal()),
        LayerCountMismatch,
        "layers",
    ),
}


def artifact() -> Any:
    return image("a", config_type="application/vnd.example+json", label="application/vnd.example.blob")


def short_config(whole: Any) -> Any:
    return replace(whole, config=image("a").config)


@pytest.mark.parametrize("name", FAILURES)
def test_what_is_refused(name: str) -> None:
    attempt, error, text = FAILURES[name]
    with pytest.raises(error) as caught:
        attempt()
    assert text in str(caught.value)


def test_what_is_copied_first_where_recoding_is_one_by_one() -> None:
    plan = plan_of(contents(image("a.zstd", "b.gzip", "c.zstd", "d")), goal(), archive=True)
    assert [type(step) for step in plan.steps] == [Copy, Copy, Recode, Recode]
    assert plan.writes == "one of unknown size"


def test_a_ref_that_an_archive_cannot_hold() -> None:
    shown = contents(image("a"))
    tagged = replace(shown, images=(replace(shown.images[0], ref="latest"),))
    plan = plan_of(tagged, goal(), archive=True)
    assert [(named.names, named.ref) for named in plan.roots] == [((), None)]
    assert plan.notes == ("'latest' is no image reference, so the image gets no name there; --tag NAME:TAG gives one",)
