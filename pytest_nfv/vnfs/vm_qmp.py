"""What is asked of QEMU's monitor: which threads are the guest's processors, and whether the guest runs."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.vnfs.vm_modules import CAPABILITY

ANSWER_S = 10.0


def available() -> str:
    """Return the version of the Python package `qemu.qmp`.

    Raises:
        CapabilityMissing: it is not installed.
    """
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("qemu.qmp")
    except PackageNotFoundError as error:
        raise CapabilityMissing(
            CAPABILITY, "the Python package qemu.qmp is not installed", "pip install 'pytest-nfv[vm]'"
        ) from error


def ask(socket: Path, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
    """Put one command to the monitor and return its answer.

    Raises:
        CapabilityMissing: no qemu.qmp.
        DeploymentError: no answer, or a refusal; with QEMU's own words.
    """
    available()
    return asyncio.run(_ask(socket, command, arguments))


async def _ask(socket: Path, command: str, arguments: Mapping[str, Any] | None) -> Any:
    from qemu.qmp import QMPClient, QMPError

    client = QMPClient("pytest-nfv")
    try:
        async with asyncio.timeout(ANSWER_S):
            await client.connect(str(socket))
            try:
                return await client.execute(command, dict(arguments or {}))
            finally:
                await client.disconnect()
    except TimeoutError as error:
        raise DeploymentError(f"QEMU's monitor {socket}: no answer to {command} within {ANSWER_S:g} s") from error
    except (QMPError, OSError, EOFError) as error:
        raise DeploymentError(f"QEMU's monitor {socket}: {command}: {error}") from error


def processors(socket: Path) -> list[int]:
    """Return the thread of each virtual processor, in their order.

    Raises:
        CapabilityMissing, DeploymentError: as `ask`.
    """
    answer = ask(socket, "query-cpus-fast")
    try:
        found = sorted((int(one["cpu-index"]), int(one["thread-id"])) for one in answer)
    except (TypeError, KeyError, ValueError) as error:
        raise DeploymentError(f"QEMU's monitor {socket}: query-cpus-fast: {answer!r} cannot be read") from error
    return [thread for _, thread in found]
