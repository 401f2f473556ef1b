"""Every way in which occy_fast can fail, with the exit code of each."""

from occy_fast.errors.base import Cancelled, OccyError
from occy_fast.errors.integrity import (
    BadArchive,
    BadDescriptor,
    BadDigest,
    BadJSON,
    BadManifest,
    ConfigTooLarge,
    CorruptStream,
    DecompressionBomb,
    DigestMismatch,
    DuplicateEntry,
    DuplicateKey,
    IntegrityError,
    LayerCountMismatch,
    LimitError,
    ManifestTooLarge,
    MediaTypeConflict,
    PathError,
    SizeMismatch,
    TarAmbiguous,
    TarChecksumError,
    TarError,
    TarFormatError,
    TarHeaderError,
    TarLimitError,
    TarPaxError,
    TarTruncated,
    UnsafePath,
    WindowTooLarge,
)
from occy_fast.errors.request import (
    AmbiguousReference,
    BadReference,
    ForeignLayerRefused,
    MissingBlob,
    MissingFile,
    MissingPlatform,
    NotFound,
    PlanStale,
    UnknownTarget,
    Unsupported,
    UnsupportedFormat,
    UnsupportedMediaType,
    UsageError,
)
from occy_fast.errors.system import (
    LESS_MEMORY,
    MORE_FILES,
    MORE_THREADS,
    DaemonError,
    InputError,
    OutputError,
    ResourceError,
    TransportError,
    exhausted,
    is_shortage,
    read_errors,
    resource_errors,
    unreadable,
    unwritable,
)

__all__ = [
    "LESS_MEMORY", "MORE_FILES", "MORE_THREADS", "AmbiguousReference", "BadArchive", "BadDescriptor", "BadDigest",
    "BadJSON", "BadManifest", "BadReference", "Cancelled", "ConfigTooLarge", "CorruptStream", "DaemonError",
    "DecompressionBomb", "DigestMismatch", "DuplicateEntry", "DuplicateKey", "ForeignLayerRefused", "InputError",
    "IntegrityError", "LayerCountMismatch", "LimitError", "ManifestTooLarge", "MediaTypeConflict", "MissingBlob",
    "MissingFile", "MissingPlatform", "NotFound", "OccyError", "OutputError", "PathError", "PlanStale",
    "ResourceError", "SizeMismatch", "TarAmbiguous", "TarChecksumError", "TarError", "TarFormatError",
    "TarHeaderError", "TarLimitError", "TarPaxError", "TarTruncated", "TransportError", "UnknownTarget",
    "UnsafePath", "Unsupported", "UnsupportedFormat", "UnsupportedMediaType", "UsageError", "WindowTooLarge",
    "exhausted", "is_shortage", "read_errors", "resource_errors", "unreadable", "unwritable",
]

for _error in [found for found in globals().values() if isinstance(found, type) and issubclass(found, OccyError)]:
    _error.__module__ = __name__                     # where it is imported from is what a traceback shows
