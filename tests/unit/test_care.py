"""Hosts before the first trial: prepared, looked at once, told of, put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_nfv.deployment.care import Care, Place
from pytest_nfv.deployment.readiness import Roles
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.survey import Survey
from tests.unit.test_hosts_facts import Files
from tests.unit.test_preparation import Agent
from tests.unit.test_readiness import QUIET


class Eyes:
    def __init__(self) -> None:
        self.looked: list[tuple[Sequence[int], Sequence[str]]] = []

    def __call__(self, cores: Sequence[int], interfaces: Sequence[str]) -> Survey:
        self.looked.append((cores, interfaces))
        return Survey((replace(QUIET, busy=0.5),), (), None)


def place(agent: Agent, eyes: Eyes, *device: int) -> Place:
    roles = Roles(device, (7,))
    return Place(agent, eyes, lambda: read_facts(Files({})), roles, ("eth1",), frozenset({"governor", "turbo"}))


def test_a_host_is_prepared_before_it_is_looked_at_and_looked_at_once() -> None:
    care, agent, eyes = Care(), Agent(lacks=["turbo"]), Eyes()
    assert care.seen("dut1") == {}
    care.take({"dut1": place(agent, eyes, 0)})
    care.take({"dut1": place(agent, eyes, 0)})
    care.take({"dut1": place(agent, eyes, 1)})
    assert eyes.looked == [((0, 7), ("eth1",))]
    assert [(name, value, cores) for name, value, cores, _ in agent.told] == [
        ("governor", "performance", (0, 7)),
        ("governor", None, ()),
        ("governor", "performance", (0, 1, 7)),
    ]
    assert care.told == ["dut1: turbo is as it was: turbo: there is none; buy one"] * 2
    seen = care.seen("dut1")
    assert seen["cores"]["0"]["busy"] == 0.5
    assert [one["severity"] for one in seen["readiness"]] == ["high"]
    care.release()
    care.release()
    assert agent.told[3:] == [("governor", None, (), ())]


def test_an_agent_that_is_gone_is_told_of_and_leaves_the_rest_to_its_end() -> None:
    care, agent, other = Care(), Agent(), Agent()
    care.take({"dut1": place(agent, Eyes(), 0), "dut2": place(other, Eyes(), 0)})
    agent.gone = True
    care.release()
    assert care.told == ["dut1: the agent is broken"]
    assert other.told[-1] == ("governor", None, (), ())


def test_each_host_is_its_own() -> None:
    care, agents = Care(), {"dut1": Agent(), "gen1": Agent(lacks=["turbo", "governor"])}
    care.take({name: place(agent, Eyes(), 0) for name, agent in agents.items()})
    assert [note.partition(":")[0] for note in care.told] == ["gen1", "gen1"]
    assert (len(agents["dut1"].told), agents["gen1"].told) == (2, [])
