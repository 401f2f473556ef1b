from typing import Final, final

MAX_WORKERS: Final[int]

def buffer_size(workers: int) -> int: ...
@final
class Pool:
    def __init__(self, workers: int) -> None: ...
    def fileno(self) -> int: ...
    def start(
        self,
        *,
        decode: str = "none",
        encode: str = "none",
        output: str = "nothing",
        level: int = 0,
        source_fd: int = -1,
        source_offset: int = 0,
        source_size: int = -1,
        sink_fd: int = -1,
        sink_offset: int = 0,
        scan_tar: int = 0,
        max_tar: int = 0,
        max_ratio: int = 0,
        ratio_floor: int = 0,
        window_log_max: int = 27,
        max_header: int = 65536,
        max_extension: int = 1048576,
        max_sparse_map: int = 1048576,
        max_extensions: int = 16,
    ) -> Pass: ...
    def close(self) -> None: ...

@final
class Pass:
    def __init__(self, pool: Pool) -> None: ...
    @property
    def ended(self) -> bool: ...
    def cancel(self) -> None: ...
    def feed(self, chunk: bytes | bytearray | memoryview) -> int: ...
    def end_feed(self) -> bool: ...
    def drain(self) -> bytes: ...
    def counters(self) -> tuple[int, int, int]: ...
    def result(self) -> tuple[bytes, bytes, bytes, int, int, int]: ...
