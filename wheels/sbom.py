"""Write down what a wheel is made of, as CycloneDX 1.6 (PEP 770)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass

# Of the identifiers below: a document about the same parts has the same one, on every machine.
NAMESPACE = uuid.UUID("8a9c1f8e-5d0b-5c52-9f2f-4f7c1e2b7a10")


@dataclass(frozen=True, slots=True)
class Part:
    """Something of others that is inside the wheel: linked, or written into it by a generator."""

    name: str
    version: str
    licence: str                    # an SPDX expression
    purl: str
    sha256: str | None = None       # of the source distribution it was built from
    came_in: str | None = None      # the file name of the same
    patches: tuple[str, ...] = ()   # the files of it that are edited before they are compiled


def component(part: Part) -> dict[str, object]:
    """Return *part* in CycloneDX's words."""
    found: dict[str, object] = {
        "type": "library",
        "bom-ref": part.purl,
        "name": part.name,
        "version": part.version,
        "scope": "required",
        "licenses": [{"expression": part.licence}],
        "purl": part.purl,
    }
    if part.sha256 is not None:
        found["hashes"] = [{"alg": "SHA-256", "content": part.sha256}]
        found["properties"] = [{"name": "occy_fast:source", "value": part.came_in}]
    if part.patches:
        found["pedigree"] = {"notes": f"edited before it is compiled: {', '.join(part.patches)}"}
    return found


def requirement(name: str, wanted: str) -> dict[str, object]:
    """Return a Python package that is installed beside the wheel; which version is the installer's choice."""
    return {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}",
        "name": name,
        "scope": "excluded",        # not among these files
        "purl": f"pkg:pypi/{name}",
        "properties": [{"name": "occy_fast:requires", "value": wanted}],
    }


def document(name: str, version: str, licence: str, parts: Iterable[Part], requires: Iterable[tuple[str, str]]) -> str:
    """Return the bill of materials of one wheel: itself, *parts* inside it, and what it *requires* beside it."""
    root = {
        "type": "library",
        "bom-ref": f"pkg:pypi/{name}@{version}",
        "name": name,
        "version": version,
        "licenses": [{"expression": licence}],
        "purl": f"pkg:pypi/{name}@{version}",
    }
    components = [*(component(part) for part in parts), *(requirement(*pair) for pair in requires)]
    depends = {"ref": root["bom-ref"], "dependsOn": [each["bom-ref"] for each in components]}
    leaves = [{"ref": each["bom-ref"]} for each in components]
    content = {"metadata": {"component": root}, "components": components, "dependencies": [depends, *leaves]}
    serial = uuid.uuid5(NAMESPACE, json.dumps(content, sort_keys=True))
    head = {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": serial.urn, "version": 1}
    return json.dumps(head | content, indent=2) + "\n"
