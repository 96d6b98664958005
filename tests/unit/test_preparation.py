"""What a run sets on a host: what it may, once, and what it says of the rest."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.deployment.preparation import PREPARED, Preparation
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.tuning.table import SETTINGS


class Agent:
    def __init__(self, lacks: Sequence[str] = ()) -> None:
        self.lacks = lacks
        self.gone = False
        self.told: list[tuple[str, str | None, tuple[int, ...], tuple[str, ...]]] = []

    def tune(
        self, setting: str, value: str | None, *, cores: Sequence[int] = (), interfaces: Sequence[str] = ()
    ) -> list[str]:
        if self.gone:
            raise DeploymentError("the agent is broken")
        if value and setting in self.lacks:
            raise CapabilityMissing(setting, "there is none", "buy one")
        self.told.append((setting, value, tuple(cores), tuple(interfaces)))
        return ["one refused"] if value and setting == "irq-affinity" else []


def test_every_setting_but_the_clock_has_a_value() -> None:
    assert {*PREPARED} == {*SETTINGS} - {"cpu-frequency"}


def test_what_may_not_be_changed_is_left_alone() -> None:
    agent = Agent()
    assert not Preparation(["cpu-frequency", "huge-pages"]).hold(agent, [0], ["eth1"])
    assert agent.told == []


def test_what_may_be_is_set_once_for_the_same_cores_and_put_back_in_reverse() -> None:
    agent, prepared = Agent(), Preparation(["irq-affinity", "governor"])
    assert prepared.hold(agent, (2, 0), ["eth1"])
    assert not prepared.hold(agent, (0,), ["eth1"])
    assert agent.told == [
        ("governor", "performance", (0, 2), ("eth1",)),
        ("irq-affinity", "away", (0, 2), ("eth1",)),
    ]
    assert prepared.notes == ("one refused",)
    assert prepared.release() == []
    assert [(name, value) for name, value, _, _ in agent.told[2:]] == [("irq-affinity", None), ("governor", None)]
    assert prepared.release() == []
    assert len(agent.told) == 4


def test_more_cores_are_prepared_anew() -> None:
    agent, prepared = Agent(), Preparation(["smt"])
    prepared.hold(agent, (0,))
    prepared.hold(agent, (1,))
    assert [(value, cores) for _, value, cores, _ in agent.told] == [("off", (0,)), (None, ()), ("off", (0, 1))]


def test_what_a_host_lacks_is_a_note_and_the_rest_is_done() -> None:
    agent, prepared = Agent(lacks=["turbo"]), Preparation(["turbo", "governor"])
    prepared.hold(agent, (0,))
    assert prepared.notes == ("turbo is as it was: turbo: there is none; buy one",)
    prepared.release()
    assert [name for name, *_ in agent.told] == ["governor", "governor"]
