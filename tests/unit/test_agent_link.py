"""The asking end of an agent on another host: it knows at once that the agent is gone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Mapping, Sequence

import pytest

from pytest_nfv import __version__
from pytest_nfv.hosts.agent_link import FarLink
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost, LocalProcess, piped
from pytest_nfv.hosts.protocol import Completed, Process

TOLD = json.dumps({"ok": {"version": __version__, "pid": 1, "rootless": False, "directory": "/nowhere"}})
AGENT = f"""
import sys
print({TOLD!r}, flush=True)
for line in sys.stdin:
    if "fail" in line:
        sys.exit("the disk is full")
"""


class Near(LocalHost):
    """A host whose agent is a script."""

    def __init__(self) -> None:
        super().__init__(name="dut1")
        self.agents: list[LocalProcess] = []

    def start_unbound(self, argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Process:
        self.agents.append(LocalProcess(piped([sys.executable, "-I", "-S", "-c", AGENT])))
        return self.agents[-1]

    def run(self, argv: Sequence[str], **_: object) -> Completed:
        return Completed(tuple(argv), 0, "", "")


def until(ended: LocalProcess) -> None:
    deadline = time.monotonic() + 20
    while ended.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_agent_that_ends_is_known_without_a_request() -> None:
    host = Near()
    lab = Lab(host, "r1", link=FarLink(host, "r1"))
    assert lab.broken == ""
    (agent,) = host.agents
    assert agent.stdin is not None
    agent.stdin.write("fail\n")
    agent.stdin.flush()
    until(agent)
    assert lab.broken == "the run's agent on dut1 is gone: the disk is full"
    lab.close()


def test_one_that_gave_no_answer_stays_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    host = Near()
    link = FarLink(host, "r1")
    monkeypatch.setattr("pytest_nfv.hosts.agent_link.ANSWER_DEADLINE_S", 0.1)
    with pytest.raises(Exception, match="on dut1: links: the run's agent on dut1 is broken"):
        link.ask("links")
    assert link.broken.startswith("the run's agent on dut1 is broken: ")
    assert host.agents[0].poll() is None
    link.close()
