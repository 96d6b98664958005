"""Lists of cores as the kernel writes them."""

from __future__ import annotations

from collections.abc import Iterable


def core_list(text: str) -> tuple[int, ...]:
    """Read `0-3,8` as (0, 1, 2, 3, 8).

    Raises:
        ValueError: it is no such list.
    """
    cores: list[int] = []
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        cores += range(int(first), int(last or first) + 1)
    return tuple(cores)


def core_text(cores: Iterable[int]) -> str:
    """Write (0, 1, 2, 3, 8) as `0-3,8`, as the kernel does."""
    spans: list[list[int]] = []
    for core in sorted(set(cores)):
        if spans and spans[-1][1] == core - 1:
            spans[-1][1] = core
        else:
            spans.append([core, core])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in spans)
