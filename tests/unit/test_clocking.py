"""The clock that a test asks for: who may, when it is in force, when it is put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from pytest_nfv.deployment.clocking import DeviceClock
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.testbed_file import load
from pytest_nfv.units import GHz

LOCAL = replace(built_in()["local"], name="bench", source="lab.toml", may_change=frozenset({"cpu-frequency"}))


class Agent:
    def __init__(self, refuse: str = "") -> None:
        self.told: list[tuple[str, str | None, tuple[int, ...]]] = []
        self.refuse = refuse

    def tune(
        self, setting: str, value: str | None, *, cores: Sequence[int] = (), interfaces: Sequence[str] = ()
    ) -> list[str]:
        self.told.append((setting, value, tuple(cores)))
        if value and self.refuse:
            raise DeploymentError(self.refuse)
        return [] if value else ["left"]


def test_nothing_asked_touches_nothing() -> None:
    clock, agent = DeviceClock(built_in()["local"]), Agent()
    clock.ask(None)
    assert clock.hold([(agent, (0,))]) is None
    assert clock.done() == []
    assert agent.told == []


def test_a_clock_is_held_once_for_the_same_cores_and_put_back() -> None:
    clock, agent = DeviceClock(LOCAL), Agent()
    clock.ask(1.2 * GHz)
    assert agent.told == []
    assert clock.hold([(agent, (0,))]) == 1.2 * GHz
    assert clock.hold([(agent, (0,))]) == 1.2 * GHz
    assert agent.told == [("cpu-frequency", "1200000kHz", (0,))]
    assert clock.done() == ["left"]
    assert agent.told[1:] == [("cpu-frequency", None, ())]
    assert clock.hold([(agent, (0,))]) is None, "the next test has not asked"
    assert clock.done() == []


def test_other_cores_are_other_clocks() -> None:
    clock, agent = DeviceClock(LOCAL), Agent()
    clock.ask(1.2 * GHz)
    clock.hold([(agent, (0,))])
    clock.hold([(agent, (0, 1))])
    assert [(value, cores) for _, value, cores in agent.told] == [
        ("1200000kHz", (0,)),
        (None, ()),
        ("1200000kHz", (0, 1)),
    ]


def test_what_one_host_refuses_is_put_back_on_the_others() -> None:
    clock, one, other = DeviceClock(LOCAL), Agent(), Agent(refuse="frequency 1.2 GHz: core 0 has 2 GHz")
    clock.ask(1.2 * GHz)
    with pytest.raises(DeploymentError, match="core 0 has 2 GHz"):
        clock.hold([(one, (0,)), (other, (0,))])
    clock.done()
    assert one.told[-1] == ("cpu-frequency", None, ())


@pytest.mark.parametrize(
    ("testbed", "remedy"),
    [
        (
            built_in()["local"],
            'add may_change = ["cpu-frequency"] to a testbed of your own: [testbed.NAME] with kind = "local", for '
            "--nfv-testbed=FILE",
        ),
        (
            replace(LOCAL, may_change=frozenset({"turbo"})),
            'add may_change = ["cpu-frequency"] to [testbed.bench] in lab.toml',
        ),
        (built_in()["sim"], "run on a real one"),
    ],
)
def test_what_may_not_be_changed_says_which_line_would_let_it(testbed: Testbed, remedy: str) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        DeviceClock(testbed).ask(1.2 * GHz)
    assert caught.value.capability == "cpufreq"
    assert caught.value.remedy == remedy


def test_a_testbed_file_lets_it(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text('[testbed.bench]\nkind = "local"\nmay_change = ["cpu-frequency", "turbo"]\n')
    testbed = load(file)["bench"]
    assert testbed.to_json()["may_change"] == ["cpu-frequency", "turbo"]
    DeviceClock(testbed).ask(1.2 * GHz)


LAB = """
[host.gen1]
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[host.dut1]
may_change = ["cpu-frequency", "governor"]
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[host.dut2]
may_change = ["governor"]
ports = { p0 = { interface = "eth1" }, p1 = { interface = "eth2" } }
[[link]]
ends = ["gen1.p0", "dut1.p0"]
speed = "10GbE"
[[link]]
ends = ["dut1.p1", "dut2.p0"]
speed = "10GbE"
[[link]]
ends = ["dut2.p1", "gen1.p1"]
speed = "10GbE"
[testbed.chain]
kind = "lab"
device = ["dut1", "dut2"]
generator = "gen1"
"""


def test_a_lab_lets_what_all_of_its_devices_let(tmp_path: Path) -> None:
    file = tmp_path / "lab.toml"
    file.write_text(LAB)
    with pytest.raises(CapabilityMissing, match=r"\] to \[host.dut1\], \[host.dut2\] in "):
        DeviceClock(load(file)["chain"]).ask(1.2 * GHz)
    file.write_text(LAB.replace('["governor"]', '["cpu-frequency", "turbo"]'))
    testbed = load(file)["chain"]
    assert testbed.device_changes == {"cpu-frequency"}
    DeviceClock(testbed).ask(1.2 * GHz)
