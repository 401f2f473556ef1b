"""An archive that goes to standard output once it is whole: until then it is a file without a name."""

from __future__ import annotations

import errno
import os
import select
import sys
import tempfile
from contextlib import ExitStack

from occy_fast.closing import Closing
from occy_fast.errors import OutputError, UsageError
from occy_fast.files.staged import COPY_STEP, output_errors

_PLACE = "standard output"


def temporary_directory() -> str:
    """Return the directory that TMPDIR names, else /tmp; that it will do shows when it is used."""
    return os.environ.get("TMPDIR") or "/tmp"


def check_output() -> None:
    """Raise UsageError where standard output is a terminal, OutputError where there is none."""
    if sys.stdout is None:                           # closed by whoever started us (>&-): 1 may be anything by now
        raise OutputError(_PLACE, errno.EBADF, "write to")
    if os.isatty(1):
        raise UsageError("an archive is not written to a terminal", "redirect the output, or name a file")


class StreamedFile(Closing):
    """A file in the directory for temporary files, without a name, as what stands in a pipe cannot be patched."""

    def __init__(self) -> None:
        """Open the file. Raises what check_output does, and OutputError."""
        check_output()
        with ExitStack() as stack:
            with output_errors(_PLACE, "open"):
                self._out = os.dup(1)
            stack.callback(os.close, self._out)
            directory = temporary_directory()
            with output_errors(directory, "create a temporary file in"):
                file = stack.enter_context(tempfile.TemporaryFile(dir=directory))
            self.fd = file.fileno()
            self._files = stack.pop_all()

    def publish(self, name: str) -> None:  # noqa: ARG002
        """Write the whole file to standard output, which asks for no *name*. Raises OutputError."""
        size = os.fstat(self.fd).st_size
        done = 0
        while done < size:
            with output_errors(_PLACE, "write to"):
                try:
                    done += self._move(done, min(COPY_STEP, size - done))
                except BlockingIOError:
                    poll = select.poll()
                    poll.register(self._out, select.POLLOUT)
                    poll.poll()

    def _move(self, offset: int, count: int) -> int:
        """Move up to *count* bytes, inside the kernel where it can."""
        try:
            return os.sendfile(self._out, self.fd, offset, count)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
            return os.write(self._out, os.pread(self.fd, count, offset))

    def close(self) -> None:
        """Give the file up; doing so twice is harmless."""
        self._files.close()
