from typing import final

from occy_fast.kernels.unpack_facts import FoundFact

@final
class UnpackModel:
    def __init__(self, max_entries: int) -> None: ...
    @property
    def exceeded(self) -> bool: ...
    def apply(self, entries: bytes | bytearray | memoryview) -> list[FoundFact]: ...
