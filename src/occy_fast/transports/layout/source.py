"""OCI image layouts: directories with oci-layout, index.json and blobs/.  (image-spec, "Image Layout")"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from occy_fast.closing import Closing
from occy_fast.errors import BadManifest, NotFound, UnsupportedFormat, unreadable
from occy_fast.files.staged import open_directory
from occy_fast.image.attestation import named_subject
from occy_fast.image.image import Contents, NamedImage
from occy_fast.image.loader_view import LoaderView
from occy_fast.spec.descriptor import REF_NAME
from occy_fast.transports.documents import DocumentReader
from occy_fast.transports.layout.directory import INDEX_FILE, LayoutDirectory, without_layout_file
from occy_fast.transports.layout.foreign import directory_refused
from occy_fast.transports.layout.index_file import names_of, tagged_name
from occy_fast.transports.layout.links import Links

if TYPE_CHECKING:
    from occy_fast.image.blob import Address
    from occy_fast.spec.descriptor import Descriptor
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.manifest import Index
    from occy_fast.transports.locator import Locator


class OciLayoutSource(Closing):
    """Reads images from a layout."""

    is_stream: Final = False

    def __init__(self, locator: Locator, limits: Limits, follow_links: tuple[str, ...] = ()) -> None:
        """Open the directory, whose links may lead into it, and to *follow_links*.

        Raises MissingFile, InputError, UnsupportedFormat.
        """
        self.locator = locator.text
        self._limits = limits
        self._wanted = locator
        try:
            fd = open_directory(locator.path)
        except NotADirectoryError as error:
            remedy = f"docker-archive:{locator.path} or oci-archive:{locator.path} reads an archive"
            raise UnsupportedFormat(locator.text, "a file where a directory is expected", remedy) from error
        except OSError as error:
            raise unreadable(error, locator.text, locator.path) from error
        path = os.path.realpath(locator.path)
        links = Links(fd, path, locator.text, follow_links)
        self._layout = LayoutDirectory(fd, path, locator.text, limits, links)

    def read(self) -> Contents:
        """Read the selected images. Raises NotFound, InputError, IntegrityError, LimitError, PathError."""
        versioned = self._layout.check_version()
        index = self._layout.read_index()
        if index is None and not versioned:
            raise directory_refused(self._wanted.path, self.locator, "a directory that is no layout")
        if index is None:
            raise BadManifest(f"{self.locator}: index.json", "the layout has none").about(INDEX_FILE)
        contents = layout_contents(index, self._layout.find, self._wanted, "oci", self._limits)
        warnings = () if versioned else (without_layout_file(self.locator, self._wanted.path),)
        return replace(contents, warnings=warnings)

    def loader_view(self) -> LoaderView:
        """Return that it is a directory, which no loader takes."""
        return LoaderView("layout")

    def close(self) -> None:
        self._layout.close()


def layout_contents(
    index: Index, find: Callable[[Digest], Address | None], wanted: Locator, kind: str, limits: Limits
) -> Contents:
    """Read the images of index.json that a locator asks for, from wherever *find* finds blobs.

    What is no image, nor anything else that is known, is there too.
    """
    reader = DocumentReader(find, wanted.text, limits)
    first: dict[Descriptor, int] = {}                # of entries in the same words; an index may have thousands
    for position, descriptor in enumerate(index.manifests):
        first.setdefault(descriptor, position)
    images = []
    for descriptor in with_attestations(select_entries(index, wanted), index):
        node = reader.read_any(descriptor)
        images.append(NamedImage(node, names_of(descriptor), descriptor.annotation(REF_NAME), first[descriptor]))
    others = len(set(index.manifests) - {named.root.descriptor for named in images})
    return Contents(wanted.text, kind, tuple(images), wanted.path, others=others)


def select_entries(index: Index, wanted: Locator) -> tuple[Descriptor, ...]:
    """Choose the entries of index.json that a locator asks for: all of them where it asks for none.

    A reference is a ref name, else an image reference in familiar or full form; several entries may have it, as some
    tools list an image's platforms so. Raises NotFound.
    """
    entries = index.manifests
    if wanted.index is not None:
        if wanted.index >= len(entries):
            raise NotFound(wanted.text, f"image @{wanted.index} of {len(entries)}")
        return (entries[wanted.index],)
    if wanted.reference is None:
        return entries
    found = [entry for entry in entries if entry.annotation(REF_NAME) == wanted.reference]
    if not found and (name := tagged_name(wanted.reference, bare=True)):
        found = [entry for entry in entries if name in names_of(entry)]
    if not found:
        offered = ", ".join(entry.annotation(REF_NAME) or f"@{at}" for at, entry in enumerate(entries)) or "none"
        raise NotFound(wanted.text, f"reference '{wanted.reference}' (there are: {offered})")
    return tuple(dict.fromkeys(found))


def with_attestations(chosen: tuple[Descriptor, ...], index: Index) -> tuple[Descriptor, ...]:
    """Add the nameless entries whose annotations say that they speak of what was chosen."""
    known = set(chosen)
    digests = {str(descriptor.digest) for descriptor in chosen}
    speaking = (
        entry
        for entry in index.manifests
        if named_subject(entry) in digests and entry not in known and entry.annotation(REF_NAME) is None
    )
    return (*chosen, *speaking)
