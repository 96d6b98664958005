"""Hosts before the first trial: prepared, looked at, told of, put back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pytest_nfv.deployment.care import Care, Place
from pytest_nfv.deployment.readiness import Roles
from pytest_nfv.hosts.facts import HostFacts, read_facts
from pytest_nfv.hosts.survey import NicFacts, Survey
from tests.unit.test_hosts_facts import Files
from tests.unit.test_preparation import Agent
from tests.unit.test_readiness import QUIET


class Eyes:
    def __init__(self) -> None:
        self.looked: list[tuple[Sequence[int], Sequence[str]]] = []

    def __call__(self, cores: Sequence[int], interfaces: Sequence[str]) -> Survey:
        self.looked.append((cores, interfaces))
        nics = tuple(NicFacts(one, None, None, None, len(self.looked), None, 1, 1, {}) for one in interfaces)
        return Survey(tuple(replace(QUIET, core=core, busy=0.5) for core in cores), nics, None)


def place(agent: Agent, eyes: Eyes, *device: int) -> Place:
    roles = Roles(device, (7,))
    return Place(agent, eyes, lambda: read_facts(Files({})), roles, ("eth1",), frozenset({"governor", "turbo"}))


def busy(care: Care) -> list[str]:
    return [one["text"].partition(" is ")[0] for one in care.seen("dut1")["readiness"] if "busy" in one["text"]]


def test_a_host_is_prepared_before_it_is_looked_at_again_for_new_cores_only() -> None:
    care, agent, eyes = Care(), Agent(lacks=["turbo"]), Eyes()
    assert care.seen("dut1") == {}
    care.take({"dut1": place(agent, eyes, 0)})
    care.take({"dut1": place(agent, eyes, 0)})
    care.take({"dut1": place(agent, eyes, 1)})
    assert eyes.looked == [((0, 7), ("eth1",)), ((0, 1, 7), ("eth1",))]
    assert [(name, value, cores) for name, value, cores, _ in agent.told] == [
        ("governor", "performance", (0, 7)),
        ("governor", None, ()),
        ("governor", "performance", (0, 1, 7)),
    ]
    assert care.told == ["dut1: turbo is as it was: turbo: there is none; buy one"] * 2
    seen = care.seen("dut1")
    assert seen["cores"]["0"]["busy"] == 0.5
    assert busy(care) == ["device core 0", "device core 1", "generator core 7"]
    care.release()
    care.release()
    assert agent.told[3:] == [("governor", None, (), ())]


def test_a_host_is_looked_at_for_new_ports_and_what_was_seen_of_others_stays() -> None:
    care, eyes = Care(), Eyes()
    first = replace(place(Agent(), eyes, 0), may_change=frozenset())
    other = replace(first, interfaces=("eth2",), slots=("0000:3b:00.1",))
    for one in (first, other, first, other):
        care.take({"dut1": one})
    assert [ports for _, ports in eyes.looked] == [("eth1",), ("eth2", "0000:3b:00.1")]
    nics = care.seen("dut1")["nics"]
    assert {name: nic["node"] for name, nic in nics.items()} == {"eth1": 1, "eth2": 2, "0000:3b:00.1": 2}


def test_a_core_that_changes_its_role_is_looked_at_in_both() -> None:
    care, eyes = Care(), Eyes()
    care.take({"dut1": place(Agent(), eyes, 0)})
    care.take({"dut1": place(Agent(), eyes, 0, 7)})
    assert busy(care) == ["device core 0", "device core 7"]


def test_facts_are_read_after_it_was_prepared() -> None:
    care, agent = Care(), Agent()
    told_at: list[int] = []

    def facts() -> HostFacts:
        told_at.append(len(agent.told))
        return read_facts(Files({}))

    care.take({"dut1": replace(place(agent, Eyes(), 0), facts=facts)})
    assert told_at == [2]


def test_ports_without_an_interface_are_not_set() -> None:
    agent = Agent()
    one = replace(
        place(agent, Eyes(), 0), interfaces=(), slots=("0000:3b:00.1",), may_change=frozenset({"offloads"})
    )
    Care().take({"dut1": one})
    assert agent.told == [("offloads", "off", (0, 7), ())]


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
