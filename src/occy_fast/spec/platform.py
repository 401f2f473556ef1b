"""Platform, and how a wanted one matches an offered one."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from occy_fast.errors import UsageError
from occy_fast.words import printable

ALL_PLATFORMS: Final = "all"
"""What asks for every platform, where one would be named."""

# The synonyms that containerd knows: what `uname -m` says, and the names other build systems use.
_OS: Final = {"macos": "darwin"}
_ARCHITECTURES: Final = {
    "i386": ("386", None),
    "i686": ("386", None),
    "x86_64": ("amd64", None),
    "x86-64": ("amd64", None),
    "aarch64": ("arm64", None),
    "armhf": ("arm", "v7"),
    "armel": ("arm", "v6"),
}
_DEFAULT_VARIANTS: Final = {"arm": "v7", "arm64": "v8", "amd64": "v1"}
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
_VERSION = re.compile(r"[A-Za-z0-9_.+-]{1,64}", re.ASCII)
_OS_WORD = re.compile(r"([A-Za-z0-9_.-]{1,64})(?:\(([A-Za-z0-9_.+-]{0,64})\))?", re.ASCII)


@dataclass(frozen=True, slots=True, order=True)
class Platform:
    """What an image runs on, in the words its document uses.  (image-spec, "Image Index")

    A platform equals its text, as str() gives it, and has the hash of it: ``linux/arm64``, which is neither
    ``linux/arm64/v8`` nor ``linux/aarch64``; `matches` tells what is good for what. One whose text leaves something out
    (os_features), or could be read in another way (a slash in a word), equals no text.
    """

    os: str
    architecture: str
    variant: str | None = None
    os_version: str | None = None
    os_features: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Platform):
            return _words_of(self) == _words_of(other)
        if isinstance(other, str):
            return str(self) == other and self._is_its_text()
        return NotImplemented

    def __hash__(self) -> int:
        return hash(str(self))

    def _is_its_text(self) -> bool:
        """Tell whether no other platform has the same text."""
        words = (self.os, self.architecture, *([] if self.variant is None else [self.variant]))
        plain = all(map(_WORD.fullmatch, words)) and (self.os_version is None or _VERSION.fullmatch(self.os_version))
        return bool(plain) and not self.os_features

    def __repr__(self) -> str:
        features = f", {', '.join(self.os_features)}" if self.os_features else ""
        return f"Platform({printable(f'{self}{features}')})"

    def __str__(self) -> str:
        os = f"{self.os}({self.os_version})" if self.os_version else self.os
        return "/".join(filter(None, (os, self.architecture, self.variant)))

    def normalized(self) -> Platform:
        """Return the same platform in containerd's words: ``x86_64`` is ``amd64``, the usual variant is left out."""
        os = self.os.lower()
        os = _OS.get(os, os)
        architecture = self.architecture.lower()
        variant = (self.variant or "").lower()
        architecture, implied = _ARCHITECTURES.get(architecture, (architecture, None))
        variant = variant or implied or ""
        if variant.isdigit():
            variant = f"v{variant}"
        if architecture == "arm":
            variant = variant or "v7"
        elif variant == _DEFAULT_VARIANTS.get(architecture):
            variant = ""
        return replace(self, os=os, architecture=architecture, variant=variant or None)

    def matches(self, wanted: Platform) -> bool:
        """Tell whether an image for this platform is what *wanted* asks for.

        A wanted platform without variant is met by any. Of an os_version the leading numbers can be asked for, as in
        10.0.17763; features that are wanted must be there.
        """
        own, other = self.normalized(), wanted.normalized()
        if (own.os, own.architecture) != (other.os, other.architecture):
            return False
        if wanted.variant and own.variant != other.variant:
            return False
        if other.os_version and not f"{own.os_version}.".startswith(f"{other.os_version}."):
            return False
        return set(other.os_features) <= set(own.os_features)


def _words_of(platform: Platform) -> tuple[object, ...]:
    return platform.os, platform.architecture, platform.variant, platform.os_version, platform.os_features


def parse_platform(text: str) -> Platform:
    """Read ``os/architecture[/variant]``, with an os version as in ``windows(10.0.17763)/amd64``.

    The result is normalized but for a variant that was spelled out: ``linux/arm64/v8`` asks for v8.

    Raises:
        UsageError: the text has another form.
    """
    words = text.split("/")
    os = _OS_WORD.fullmatch(words[0])
    if not 2 <= len(words) <= 3 or os is None or not all(_WORD.fullmatch(word) for word in words[1:]):
        raise UsageError(f"'{text}' is no platform", "write it as in linux/amd64 or linux/arm/v7")
    demanded = words[2] if len(words) == 3 else None
    plain = Platform(os[1], words[1], demanded, os[2] or None).normalized()
    if demanded is None:
        # `armhf` names its variant; a bare `arm` does not ask for one
        return plain if words[1].lower() in _ARCHITECTURES else replace(plain, variant=None)
    if plain.variant is None:
        return replace(plain, variant=_DEFAULT_VARIANTS[plain.architecture])
    return plain
