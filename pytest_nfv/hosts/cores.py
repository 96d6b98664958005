"""Lists of cores as the kernel writes them."""

from __future__ import annotations


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
