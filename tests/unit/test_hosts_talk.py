"""JSON lines, the tail of a stream, the agent's inbox, and what is read from /proc."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import ConfigurationError, DeploymentError
from pytest_nfv.hosts import userns
from pytest_nfv.hosts.agent import Agent
from pytest_nfv.hosts.host_lock import HostLock
from pytest_nfv.hosts.lab import VethEnd
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.local import LocalProcess, piped
from pytest_nfv.hosts.namespace import NamespaceHost
from pytest_nfv.hosts.napi import napi_threads
from pytest_nfv.hosts.protocol import Entry
from pytest_nfv.hosts.tail import LINES_KEPT, Tail

ANSWERS = r"""
import json, sys
said = {"2": '{"n": 1}\n{"n": 2}\n', "nonsense": "hello\n", "list": "[1]\n", "silence": ""}
for line in sys.stdin:
    print(said[json.loads(line)["ask"]], end="", flush=True)
"""


@pytest.fixture
def process() -> Iterator[LocalProcess]:
    started = LocalProcess(piped([sys.executable, "-I", "-S", "-c", ANSWERS]))
    yield started
    started.stop()


def test_answers_come_one_by_one(process: LocalProcess) -> None:
    lines = JsonLines(process)
    lines.tell({"ask": "2"})
    assert lines.answer(20) == {"n": 1}
    assert lines.answer(20) == {"n": 2}


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        ("nonsense", "'hello', which is not JSON"),
        ("list", "not an object"),
        ("silence", r"did not answer within 0\.2 s"),
    ],
)
def test_broken_talk_is_told(process: LocalProcess, ask: str, why: str) -> None:
    lines = JsonLines(process)
    lines.tell({"ask": ask})
    with pytest.raises(LinesBroken, match=why):
        lines.answer(0.2 if ask == "silence" else 20)


def test_other_end_that_ended(process: LocalProcess) -> None:
    lines = JsonLines(process)
    assert process.stop() == 0
    with pytest.raises(LinesBroken, match="reads no more"):
        lines.tell({"ask": "2"})
    gone = LocalProcess(piped([sys.executable, "-I", "-S", "-c", "pass"]))
    with pytest.raises(LinesBroken, match="it ended"):
        JsonLines(gone).answer(20)
    gone.stop()


def test_tail_keeps_the_end_and_cuts_endless_lines() -> None:
    reader, writer = os.pipe()
    tail = Tail(os.fdopen(reader, "r", encoding="utf-8"))
    with os.fdopen(writer, "w") as stream:
        stream.writelines(f"{n}\n" for n in range(1000))
        stream.write("x" * 2_000_000)
    text = tail.text(ended=True)
    assert text.endswith("x" * 100)
    assert len(text) <= LINES_KEPT * 4096
    tail.close()


INBOX = """
import os, signal, sys
from pytest_nfv.hosts.inbox import Inbox
inbox = Inbox(0, int(sys.argv[1]))
print("ready", flush=True)
for line in inbox:
    print(line.decode(), flush=True)
inbox.close()
print("end", flush=True)
"""


@pytest.mark.parametrize("how", ["stream", "SIGTERM", "SIGINT", "orphan"])
def test_inbox_ends_when_nobody_is_left_to_ask(how: str) -> None:
    parent = os.getpid() if how != "orphan" else 1
    argv = [sys.executable, "-c", INBOX, str(parent)]
    with subprocess.Popen(argv, stdin=-1, stdout=-1, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        if how != "orphan":
            process.stdin.write("one\ntwo\nhal")
            process.stdin.flush()
            assert [process.stdout.readline() for _ in range(2)] == ["one\n", "two\n"]
        if how == "stream":
            process.stdin.close()
        elif how != "orphan":
            process.send_signal({"SIGTERM": 15, "SIGINT": 2}[how])
        assert process.stdout.readline() == "end\n"


def test_agent_answers_what_goes_wrong() -> None:
    agent = Agent("run01", rootless=True, directory=Path("/nonexistent/run01"), lock=HostLock())
    assert agent.answer({"op": "links", "role": "gen"}) == {
        "error": "this run has no namespace 'gen'; it has: none"
    }
    assert agent.answer({"op": "remove", "role": "gen"}) == {"ok": None}
    assert agent.answer({"op": "close"}) == {"ok": []}


def test_napi_threads_are_told_by_the_whole_interface_name(tmp_path: Path) -> None:
    names = {
        11: "napi/s0-run01-8193",
        12: "napi/s0-run010-8194",
        13: "napi/s1-run01-8195",
        14: "bash",
        15: "napi/s0-longrun",
    }
    for tid, name in names.items():
        (tmp_path / str(tid)).mkdir()
        (tmp_path / str(tid) / "comm").write_text(name + "\n")
    (tmp_path / "16").mkdir()
    (tmp_path / "version").touch()
    assert napi_threads("s0-run01", tmp_path) == {11: "napi/s0-run01-8193"}
    assert napi_threads("s0-longrun77", tmp_path) == {15: "napi/s0-longrun"}, "cut by a kernel before 5.17"


@pytest.mark.parametrize(
    ("effective", "enough"),
    [
        ("000001ffffffffff", True),
        ("0000000000000000", False),
        ("0000000000201000", True),
        ("0000000000200000", False),
    ],
)
def test_rights_are_read_from_the_effective_set(effective: str, enough: bool) -> None:
    assert userns.privileged(f"CapPrm:\t000001ffffffffff\nCapEff:\t{effective}\n") is enough
    assert userns.privileged("Name:\tx\n") is False


@pytest.mark.parametrize(
    ("setting", "value", "remedy"),
    [
        ("user/max_user_namespaces", "0", "sudo sysctl -w user.max_user_namespaces=15000"),
        ("kernel/unprivileged_userns_clone", "0", "sudo sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ],
)
def test_refusal_names_the_setting_that_forbids(tmp_path: Path, setting: str, value: str, remedy: str) -> None:
    for folder in ("user", "kernel"):
        (tmp_path / folder).mkdir()
    (tmp_path / "user/max_user_namespaces").write_text("15000\n")
    (tmp_path / setting).write_text(value + "\n")
    error = userns.refused("a user namespace", "Operation not permitted", tmp_path)
    assert error.capability == "netns"
    assert remedy in error.remedy
    assert f"{setting.replace('/', '.')} is {value}" in error.missing
    assert "Operation not permitted" in error.missing


def test_refusal_without_a_setting_still_has_a_remedy(tmp_path: Path) -> None:
    error = userns.refused("a user namespace", "Operation not permitted", tmp_path)
    assert "no kernel setting explains it" in error.missing
    assert "run as root" in error.remedy


def test_interface_names_are_checked() -> None:
    host = NamespaceHost("gen", "nfv-run01-gen", "run01", Entry(), lambda *_, **__: None)
    for bad in ("", "a/b", "a b", "x" * 16, ".."):
        with pytest.raises(ConfigurationError, match="accepted: 1 to 15 letters"):
            VethEnd(host, bad, "02:00:00:00:00:00")


def test_namespace_host_reads_through_the_agent() -> None:
    asked = []

    def ask(op: str, **arguments: str) -> str:
        asked.append((op, arguments))
        return "1\n"

    host = NamespaceHost("gen", "nfv-run01-gen", "run01", Entry(), ask)
    assert host.name == "local/gen"
    assert host.read_text("/proc/sys/net/core/somaxconn") == "1\n"
    host.write_text("/sys/class/net/g0/mtu", "1400")
    assert asked == [
        ("read", {"role": "gen", "path": "/proc/sys/net/core/somaxconn"}),
        ("write", {"role": "gen", "path": "/sys/class/net/g0/mtu", "text": "1400"}),
    ]
    assert json.dumps(asked)


def test_lab_that_cannot_be_marked_starts_nothing(tmp_path: Path) -> None:
    from pytest_nfv.hosts.lab import Lab
    from pytest_nfv.hosts.local import LocalHost

    with pytest.raises(DeploymentError, match="cannot mark the run"):
        Lab(LocalHost(), "run01", directory=tmp_path / "absent")
