"""What to do about an error that does not say it itself, in the words of the command."""

from __future__ import annotations

from occy_fast.errors import (
    MORE_FILES,
    BadReference,
    CorruptStream,
    DigestMismatch,
    InputError,
    LimitError,
    ManifestTooLarge,
    MissingBlob,
    OccyError,
    OutputError,
    PlanStale,
    SizeMismatch,
    TarAmbiguous,
    TarTruncated,
    TransportError,
    UnknownTarget,
)
from occy_fast.image.place import Place

_AGAIN = "get it again from where it came: bytes were lost or changed on the way"


def advice(error: OccyError) -> str:
    """Return what the reader of *error* can do; empty where nothing is known."""
    match error:
        case LimitError(settings=(_, *_) as settings):
            variables = " or ".join(f"OCCY_FAST_MAX_{name.upper()}" for name in settings)
            return f"if you trust where it comes from, set {variables} higher"
        case ManifestTooLarge():                         # it would be written
            return "write fewer images, layers or annotations there: nobody reads such a document again"
        case TarTruncated():
            return "copy or save it again: it is cut short"
        case TarAmbiguous():
            return "--no-strict reads it as Docker does; other readers may not"
        case CorruptStream() | DigestMismatch() | SizeMismatch():
            return _AGAIN
        case UnknownTarget():
            return "occy-fast targets lists all of them"
        case BadReference(place=Place()):                # in a document that was read, and not in the request
            return "--target NAME puts right what names loaders refuse, and leaves out what is none"
        case BadReference():
            return "a name is REPOSITORY[:TAG], the repository in small letters"
        case PlanStale():
            return "make the plan again: the same command looks at what is there now"
        case MissingBlob():
            return "copy or save it again: not all of it is there"
        case InputError(errno=1 | 13):
            return "look at who may read it (ls -l), or run as somebody who may"
        case InputError(errno=23 | 24):
            return MORE_FILES
        case InputError(errno=5 | 116):
            return "look at the disk or mount it is on (dmesg), and try again"
        case InputError(errno=40):
            return "name the file itself: the links to it lead in a circle"
        case InputError(errno=21):
            return "name a file: this is a directory"
        case OutputError(errno=28):
            return "make room there, or name another place"
        case OutputError(errno=13 | 1 | 30):
            return "name a place that you may write to"
        case OutputError(errno=2):
            return "make the directory first (mkdir -p)"
        case OutputError(errno=17 | 20):
            return "a file is in the way: name another place"
        case TransportError(retryable=True):
            return "the same again, or --retries N: it may pass"
    return ""
