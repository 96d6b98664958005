"""The clock of the device's cores, held at what a test asks from its deployment on until its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts.tuning.cpufreq import CAPABILITY
from pytest_nfv.model.testbed import Testbed
from pytest_nfv.units import Frequency

SETTING = "cpu-frequency"


class Tuner(Protocol):
    """A host's agent, as far as its settings go; `hosts.lab.Lab` is one."""

    def tune(
        self, setting: str, value: str | None, *, cores: Sequence[int] = (), interfaces: Sequence[str] = ()
    ) -> list[str]:
        """Change a setting, or put it back; return notes."""
        ...


class DeviceClock:
    """What the running test asked of the device's cores, and where it is in force."""

    def __init__(self, testbed: Testbed) -> None:
        """Take the cores as they are."""
        self._testbed = testbed
        self._asked: Frequency | None = None
        self._held: list[tuple[Tuner, tuple[int, ...]]] = []

    def ask(self, frequency: Frequency | None) -> None:
        """Say what the next deployments shall be clocked at; None leaves cores as they are.

        Raises:
            CapabilityMissing: there is no clock, or the testbed does not let it be changed.
        """
        if frequency is not None:
            allowed(self._testbed, SETTING, CAPABILITY)
        self._asked = frequency

    def hold(self, where: Sequence[tuple[Tuner, tuple[int, ...]]]) -> Frequency | None:
        """Put the asked frequency in force on cores of hosts, and return it.

        Raises:
            CapabilityMissing: a host has no cpufreq, or we have no right to it.
            DeploymentError: it does not have this frequency.
        """
        if self._asked is not None and self._held != [*where]:
            self.release()
            for tuner, cores in where:
                self._held.append((tuner, cores))
                tuner.tune(SETTING, f"{self._asked.khz}kHz", cores=cores)
        return self._asked

    def release(self) -> list[str]:
        """Put back what is held; return notes on what somebody else changed meanwhile.

        Raises:
            DeploymentError: it could not be.
        """
        notes: list[str] = []
        while self._held:
            tuner, _ = self._held.pop()
            notes += tuner.tune(SETTING, None)
        return notes

    def done(self) -> list[str]:
        """End what the test asked; return the notes of `release`."""
        self._asked = None
        return self.release()


def allowed(testbed: Testbed, setting: str, capability: str) -> None:
    """Raise where a run may not change a setting of the device.

    Args:
        testbed: whose device.
        setting: of `model.machine.CHANGES`.
        capability: that is missing then.

    Raises:
        CapabilityMissing: says which line would let it.
    """
    if testbed.kind == "sim":
        raise CapabilityMissing(
            capability, f"testbed {testbed.name} is simulated, and has none", "run on a real one"
        )
    if setting in testbed.device_changes:
        return
    line = f'may_change = ["{setting}"]'
    if testbed.rig is not None:
        where = f"{line} to {', '.join(f'[host.{name}]' for name in testbed.rig.devices)} in {testbed.source}"
    elif testbed.source == "built in":
        where = f'{line} to a testbed of your own: [testbed.NAME] with kind = "local", for --nfv-testbed=FILE'
    else:
        where = f"{line} to [testbed.{testbed.name}] in {testbed.source}"
    raise CapabilityMissing(
        capability, f"testbed {testbed.name} does not let a run change {setting}", f"add {where}"
    )
