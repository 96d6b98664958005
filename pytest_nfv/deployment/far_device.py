"""A device under test on another host: the asking end of `far.py`."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pytest_nfv.deployment.device import Part, Spent
from pytest_nfv.deployment.device_json import part_json, spent_of
from pytest_nfv.errors import DeploymentError, noted
from pytest_nfv.hosts import package
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.hosts.reap import REAP_DEADLINE_S
from pytest_nfv.hosts.talk import SILENCE_S, Talk
from pytest_nfv.model.offer import PortSpec

START_S, STAND_S, ANSWER_S, END_S = 30.0, 180.0, 30.0, 30.0


class FarDevice:
    """Implements `device.Device`."""

    def __init__(self, host: MachineHost, run_id: str, part: Part) -> None:
        """Have it stand over there.

        Args:
            host: where; its interpreter has this package.
            run_id: what everything over there is marked with; another than that of this host's lab.
            part: what is to stand.

        Raises:
            CapabilityMissing: the host lacks something.
            DeploymentError: it did not come up, or has another version of this package.
        """
        self.part = part
        self._host, self._run_id = host, run_id
        python = host.python
        argv = [python, "-P", "-m", "pytest_nfv.deployment.far", "--run", run_id, "--silence", str(SILENCE_S)]
        with package.starting(host):
            self._process = host.start_unbound(argv)
        self._closed = False
        self._talk = Talk(self._process, f"the device's process on {host.name}", beats=True)
        try:
            with package.starting(host):
                found = self._talk.exchange(None, START_S)
            package.check_found(host, python, str(found["version"]))
            told = self._ask("stand", STAND_S, part=part_json(part))
        except BaseException as error:
            with noted(error):
                self.close()
            raise
        self.version = str(told["version"])
        self.notes = tuple(map(str, told["notes"]))
        self.ports = tuple(PortSpec(**one) for one in told["ports"])

    def _ask(self, op: str, deadline_s: float = ANSWER_S, **arguments: Any) -> Any:
        if self._closed:
            raise DeploymentError(f"{op}: the device on {self._host.name} was taken down")
        with package.named(self._host):
            return self._talk.exchange({"op": op, **arguments}, deadline_s)

    def learned(self, stations: Sequence[tuple[str, int]]) -> list[bool]:
        """Whether the switch knows each MAC address to be at its port."""
        return [bool(one) for one in self._ask("learned", stations=list(stations))]

    def forwarded(self, frame: bytes) -> bytes:
        """Return what the switch makes of a frame."""
        return bytes.fromhex(self._ask("forwarded", frame=frame.hex()))

    def begin(self) -> None:
        """Open the accounts of a trial."""
        self._ask("begin")

    def end(self) -> Spent:
        """Close them."""
        return spent_of(self._ask("end"))

    def glance(self) -> None:
        """Raise where its process, or the connection, has ended."""
        if self._process.poll() is not None:
            self.check()

    def check(self) -> None:
        """Raise where something of it is gone."""
        self._ask("check")

    def close(self) -> None:
        """Have it taken down, and wait for that; where it cannot be reached, by the reaper over there.

        Raises:
            DeploymentError: it could not be taken down.
        """
        if self._closed:
            return
        self._closed = True
        self._talk.over()
        status: int | None = None
        with suppress(DeploymentError):  # a lost connection: it ends by itself
            status = self._process.stop(END_S)
        if status == 0 and not self._talk.broken:
            return
        said = self._process.stderr_tail().strip()
        try:
            argv = [self._host.python, "-P", "-m", "pytest_nfv", "reap", "--run", self._run_id]
            self._host.run(argv, timeout_s=REAP_DEADLINE_S)
        except DeploymentError as error:
            raise DeploymentError(
                f"the device on {self._host.name} could not be taken down: "
                f"{self._talk.broken or said or f'exit status {status}'}; and it could not be reaped: {error}"
            ) from error
