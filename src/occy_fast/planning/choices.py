"""What tells one of several images from the others, and how it is asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from occy_fast.errors import UsageError
from occy_fast.image.attestation import digest_of
from occy_fast.image.graph import real_images
from occy_fast.image.image import Image, ImageIndex
from occy_fast.spec.platform import parse_platform

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, NamedImage
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.spec.platform import Platform


def choose_one(contents: Contents, named: NamedImage) -> str:
    """Say how one image of several is chosen, as *named* would be; with a locator where one can be written.

    A daemon's images are chosen by name or id, and a path with a colon in it cannot stand in front of a selector.
    """
    path = contents.path
    if not path:
        return "choose one by its name or its id"
    if named.position is None or ":" in path:
        return "choose one by its name, or by :@INDEX behind a path without a colon"
    return f"choose one, as {contents.kind}:{path}:@{named.position} does"


def selector(named: NamedImage, at: int) -> str:
    """Print what chooses an image, and what tells it from others: "@1 (app:1, linux/arm64, sha256:e692418e4cbe)"."""
    node = named.root
    what = "an index" if isinstance(node, ImageIndex) else "no image"
    if isinstance(node, Image):
        what = "an artifact" if node.artifact else str(node.platform or "platform unknown")
    digest = digest_of(node) or (str(node.config_blob.digest) if isinstance(node, Image) else "")
    name = ", ".join(named.names) or named.ref or ""
    told = ", ".join(filter(None, [name, what, digest[:19]]))
    return f"@{named.number(at)} ({told})"


def platform_to_ask_for(contents: Contents, capabilities: Capabilities, own: Platform) -> Platform | None:
    """Choose a platform on behalf of who has named none, where a plan would leave that to its caller.

    That is where a name stands for one image and *contents* have an index of several. The platform is *own* if there is
    an image for exactly that, else the first that can be written; None where there is nothing to choose.
    """
    index = next((named.root for named in contents.images if isinstance(named.root, ImageIndex)), None)
    if capabilities.multi_platform or index is None:
        return None
    offered = [image.platform for image in real_images(index) if image.platform is not None]
    offered = [platform for platform in offered if _can_be_written(platform)]
    return None if len(offered) < 2 else own if own in offered else offered[0]


def _can_be_written(platform: Platform) -> bool:
    with suppress(UsageError):
        parse_platform(str(platform))
        return True
    return False
