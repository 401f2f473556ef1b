"""What tells one of several images from the others, and how it is asked for."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

from occy_fast.errors import UsageError
from occy_fast.image.attestation import digest_of
from occy_fast.image.graph import real_images
from occy_fast.image.image import Image, ImageIndex, Unreadable
from occy_fast.spec.platform import parse_platform
from occy_fast.words import shell_command

if TYPE_CHECKING:
    from occy_fast.image.image import Contents, NamedImage
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.spec.platform import Platform


def choose_one(contents: Contents, named: NamedImage, destination: str, other: str = "") -> str:
    """Say how one image of several is chosen, as *named* would be; with a command where one can be written.

    A daemon's images are chosen by name or id, and a path with a colon in it cannot stand in front of a selector.

    Args:
        other: what else may be done.
    """
    if not contents.path:
        return f"choose one by its name or its id{other}"
    locator = locator_of(contents, named)
    if not locator:
        return f"choose one by its name, or by :@INDEX behind a path without a colon{other}"
    return f"choose one, as {locator} does{other}: {convert_command(locator, destination)}"


def convert_command(source: str, destination: str, *options: str) -> str:
    """Return a command line that can be pasted; a source that begins with a dash would be an option in it."""
    source = f"./{source}" if source.startswith("-") and source != "-" else source
    return shell_command(["occy-fast", "convert", source, destination, *options])


def locator_of(contents: Contents, named: NamedImage) -> str:
    """Return the locator that chooses one of several images by its number; empty where none can be written."""
    path = contents.path
    if not path or named.position is None or ":" in path:
        return ""
    return f"{contents.kind}:{path}:@{named.position}"


def selector(named: NamedImage, at: int) -> str:
    """Print what chooses an image, and what tells it from others: "@1 (app:1, linux/arm64, sha256:e692418e4cbe)"."""
    node = named.root
    what, platforms = "no image", dict[str, None]()
    if isinstance(node, ImageIndex):
        what, platforms = "an index", dict.fromkeys(str(image.platform or "unknown") for image in real_images(node))
    if isinstance(node, Unreadable):
        what, platforms = "it cannot be read", dict.fromkeys([str(node.platform)] if node.platform else [])
    if isinstance(node, Image):
        what = "an artifact" if node.artifact else str(node.platform or "platform unknown")
    digest = digest_of(node) or (str(node.config_blob.digest) if isinstance(node, Image) else "")
    name = ", ".join(named.names) or named.ref or ""
    told = ", ".join(filter(None, [name, what, digest[:19], f"for {', '.join(platforms)}" if platforms else ""]))
    return f"@{named.number(at)} ({told})"


def platform_to_ask_for(contents: Contents, capabilities: Capabilities, own: Platform) -> Platform | None:
    """Choose a platform on behalf of who has named none, where a plan would leave that to its caller.

    That is where a name stands for one image and *contents* have an index of several. The platform is *own* if there is
    an image for exactly that, else the first that can be written; None where there is nothing to choose.
    """
    index = next((named for named in contents.images if isinstance(named.root, ImageIndex)), None)
    if capabilities.multi_platform or index is None or index.default is not None:
        return None
    offered = [image.platform for image in real_images(index.root) if image.platform is not None]
    offered = [platform for platform in offered if _can_be_written(platform)]
    return None if len(offered) < 2 else own if own in offered else offered[0]


def _can_be_written(platform: Platform) -> bool:
    with suppress(UsageError):
        parse_platform(str(platform))
        return True
    return False
