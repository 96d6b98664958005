"""An assembler for the few BPF instructions of our programs, with labels for jumps.

Opcodes: the kernel's `Documentation/bpf/standardization/instruction-set.rst`. Registers are their numbers: r0 what
a helper returned, r1 to r5 its arguments and gone after it, r6 to r9 kept, r10 the stack's end.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

STACK = 10
_LOADS = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
_STORES = {1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}
_STORES_VALUE = {2: 0x6A, 4: 0x62}
_COMPARE = {"==": 0x15, "!=": 0x55, ">": 0x25, "<": 0xA5, "<=": 0xB5}
_WITH_REGISTER = 0x08
_ARITHMETIC = {"+": 0x07, "-": 0x17, "&": 0x57, "<<": 0x67, ">>": 0x77}


@dataclass
class Assembly:
    """Instructions as they are put down; `octets` resolves the jumps."""

    _steps: list[tuple[int, int, int, int, str, int]] = field(default_factory=list)
    _labels: dict[str, int] = field(default_factory=dict)

    def put(
        self, code: int, to: int = 0, source: int = 0, offset: int = 0, value: int = 0, label: str = ""
    ) -> None:
        """Put one instruction down; a jump has a `label` instead of an offset."""
        self._steps.append((code, to, source, offset, label, value))

    def label(self, name: str) -> None:
        """Name the place of the next instruction."""
        self._labels[name] = len(self._steps)

    def load(self, width: int, to: int, source: int, offset: int) -> None:
        """Let `to` be the `width` octets at source + offset, in the machine's order."""
        self.put(_LOADS[width], to, source, offset)

    def store(self, width: int, to: int, offset: int, source: int) -> None:
        """The `width` octets at to + offset = source."""
        self.put(_STORES[width], to, source, offset)

    def store_value(self, width: int, to: int, offset: int, value: int) -> None:
        """The `width` octets at to + offset = value."""
        self.put(_STORES_VALUE[width], to, offset=offset, value=value)

    def move(self, to: int, value: int) -> None:
        """Let `to` be value."""
        self.put(0xB7, to, value=value)

    def copy(self, to: int, source: int) -> None:
        """Let `to` be source."""
        self.put(0xBF, to, source)

    def compute(self, to: int, operation: str, value: int) -> None:
        """Let `to` be to operation value."""
        self.put(_ARITHMETIC[operation], to, value=value)

    def compute_with(self, to: int, operation: str, source: int) -> None:
        """Let `to` be to operation source, another register."""
        self.put(_ARITHMETIC[operation] | _WITH_REGISTER, to, source)

    def from_network(self, register: int) -> None:
        """Turn 16 bits from the network's order into the machine's."""
        self.put(0xDC, register, value=16)

    def jump(self, label: str) -> None:
        """Go on at `label`."""
        self.put(0x05, label=label)

    def jump_if(self, register: int, comparison: str, value: int, label: str) -> None:
        """Go on at `label` where register comparison value holds, without sign."""
        self.put(_COMPARE[comparison], register, value=value, label=label)

    def jump_if_with(self, register: int, comparison: str, source: int, label: str) -> None:
        """Go on at `label` where register comparison source, another register, holds."""
        self.put(_COMPARE[comparison] | _WITH_REGISTER, register, source, label=label)

    def map(self, to: int, descriptor: int) -> None:
        """Let `to` be a map, by its descriptor; takes two slots."""
        self.put(0x18, to, 1, value=descriptor)
        self.put(0)

    def call(self, helper: int) -> None:
        """Call a helper of the kernel."""
        self.put(0x85, value=helper)

    def exit(self) -> None:
        """Return r0."""
        self.put(0x95)

    def octets(self) -> bytes:
        """Return the program."""
        return b"".join(
            struct.pack("<BBhi", code, to | source << 4, self._labels[label] - at - 1 if label else offset, value)
            for at, (code, to, source, offset, label, value) in enumerate(self._steps)
        )
