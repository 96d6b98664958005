"""Values of settings as people write them."""

from __future__ import annotations

from pytest_nfv.errors import DeploymentError


def on_or_off(name: str, value: str) -> bool:
    """Return whether it is on.

    Raises:
        DeploymentError: it is neither.
    """
    if value not in ("on", "off"):
        raise DeploymentError(f"{name} {value!r}: accepted: on, off")
    return value == "on"
