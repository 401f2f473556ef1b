"""Convert container images between their forms, and prove every byte on the way.

Public are the names in `__all__`: the functions, and every class that their signatures reach; the errors they raise are
in `occy_fast.errors`. A name's module is imported when the name is first used.

The functions share these keywords:
    limits: Limits, of what is read; None takes the defaults, and what OCCY_FAST_MAX_... variables set.
    max_layer: bytes the tar of a layer may have, in place of what *limits* say.
    workers: threads that decode, hash and encode; None takes the processors this process may use.
    access: Access, how a daemon is reached and how patient to be with it; refused where no daemon is named.
    follow_links: directories to which the symbolic links of a layout directory may lead; inside of it they always may.
    progress: called with a Progress a few times a second while layers are read, by the thread that made the call.
    cancel: a threading.Event; once it is set, by any thread, the call ends with Cancelled and leaves nothing behind.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from occy_fast.version import __version__ as __version__

__all__ = [
    "Access",
    "Adopt",
    "Blob",
    "BlobPlan",
    "BuildInfo",
    "Capabilities",
    "CheckReport",
    "CodecBuild",
    "Contents",
    "ConvertResult",
    "Copy",
    "Delivery",
    "Descriptor",
    "Digest",
    "EncoderFact",
    "EncoderIdentity",
    "Encoding",
    "Facts",
    "FileRegion",
    "Finding",
    "Goal",
    "GoalWords",
    "History",
    "Image",
    "ImageConfig",
    "ImageIndex",
    "ImagePlan",
    "Index",
    "IndexPlan",
    "InlineBytes",
    "InspectReport",
    "InspectedManifest",
    "Layer",
    "LayerOutcome",
    "LayerProgress",
    "Limits",
    "Manifest",
    "ManifestEdit",
    "NamedImage",
    "NamedPlan",
    "OccyError",
    "Opaque",
    "OpenRegion",
    "Place",
    "Plan",
    "Platform",
    "Progress",
    "Recode",
    "RecompressResult",
    "Rule",
    "Skip",
    "StreamPlan",
    "StreamedBytes",
    "Support",
    "Target",
    "TargetFinding",
    "Trait",
    "TraitRule",
    "Unreadable",
    "UnreadableBytes",
    "VerifyReport",
    "WorkKey",
    "build_info",
    "check",
    "convert",
    "execute",
    "inspect",
    "open_image",
    "plan",
    "recompress",
    "verify",
]

if TYPE_CHECKING:
    from occy_fast.api import check, convert, execute, inspect, open_image, plan, recompress, verify
    from occy_fast.context.access import Access
    from occy_fast.context.progress import LayerProgress, Progress
    from occy_fast.errors import OccyError
    from occy_fast.image.blob import Blob, FileRegion, InlineBytes, OpenRegion, StreamedBytes, UnreadableBytes
    from occy_fast.image.finding import Finding
    from occy_fast.image.image import Contents, Image, ImageIndex, Layer, NamedImage, Opaque, Unreadable
    from occy_fast.image.place import Place
    from occy_fast.kernels.build import BuildInfo, CodecBuild, build_info
    from occy_fast.planning.capabilities import Capabilities
    from occy_fast.planning.facts import EncoderFact, Facts
    from occy_fast.planning.goal import Goal
    from occy_fast.planning.goal_words import GoalWords
    from occy_fast.planning.plan import Plan, StreamPlan
    from occy_fast.planning.steps import Adopt, BlobPlan, Copy, ImagePlan, IndexPlan, NamedPlan, Recode, Skip, WorkKey
    from occy_fast.planning.stream_rules import Rule
    from occy_fast.running.check import CheckReport
    from occy_fast.running.delivery import Delivery
    from occy_fast.running.inspect import InspectedManifest, InspectReport
    from occy_fast.running.result import ConvertResult, LayerOutcome, RecompressResult
    from occy_fast.running.verify import VerifyReport
    from occy_fast.spec.config import History, ImageConfig
    from occy_fast.spec.descriptor import Descriptor
    from occy_fast.spec.digest import Digest
    from occy_fast.spec.encoding import EncoderIdentity, Encoding
    from occy_fast.spec.limits import Limits
    from occy_fast.spec.manifest import Index, Manifest
    from occy_fast.spec.platform import Platform
    from occy_fast.targets.judge import TargetFinding
    from occy_fast.targets.rules import TraitRule
    from occy_fast.targets.target import Support, Target
    from occy_fast.targets.traits import Trait
    from occy_fast.transforms.base import ManifestEdit

_NAMES = {
    "api": "check convert execute inspect open_image plan recompress verify",
    "context.access": "Access",
    "context.progress": "LayerProgress Progress",
    "errors": "OccyError",
    "image.blob": "Blob FileRegion InlineBytes OpenRegion StreamedBytes UnreadableBytes",
    "image.finding": "Finding",
    "image.image": "Contents Image ImageIndex Layer NamedImage Opaque Unreadable",
    "image.place": "Place",
    "kernels.build": "BuildInfo CodecBuild build_info",
    "planning.capabilities": "Capabilities",
    "planning.facts": "EncoderFact Facts",
    "planning.goal": "Goal",
    "planning.goal_words": "GoalWords",
    "planning.plan": "Plan StreamPlan",
    "planning.stream_rules": "Rule",
    "planning.steps": "Adopt BlobPlan Copy ImagePlan IndexPlan NamedPlan Recode Skip WorkKey",
    "running.check": "CheckReport",
    "running.delivery": "Delivery",
    "running.inspect": "InspectReport InspectedManifest",
    "running.result": "ConvertResult LayerOutcome RecompressResult",
    "running.verify": "VerifyReport",
    "spec.config": "History ImageConfig",
    "spec.descriptor": "Descriptor",
    "spec.digest": "Digest",
    "spec.encoding": "EncoderIdentity Encoding",
    "spec.limits": "Limits",
    "spec.manifest": "Index Manifest",
    "spec.platform": "Platform",
    "targets.judge": "TargetFinding",
    "targets.rules": "TraitRule",
    "targets.target": "Support Target",
    "targets.traits": "Trait",
    "transforms.base": "ManifestEdit",
}
_HOME = {name: f"occy_fast.{module}" for module, names in _NAMES.items() for name in names.split()}


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(_HOME[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})
