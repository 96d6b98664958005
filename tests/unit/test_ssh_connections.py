"""Connections to a far host, without one: the hand runs here, over pipes."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import threading
import time
from base64 import b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import ssh_connect, ssh_link
from pytest_nfv.hosts.ssh import SshHost
from pytest_nfv.hosts.ssh_link import ConnectionLost


class Link:
    """Stands for a connection; the second one is lost while it is first used."""

    made: ClassVar[list[Link]] = []

    def __init__(self, name: str, address: str, python: str, config_file: Path | None) -> None:
        self.made.append(self)
        self.lost = ""
        self.token = f"token {len(self.made)}"
        self.hello = {"sshd": len(self.made), "born": "7"}
        self.ended: list[str] = []

    def ask(self, op: str, **arguments: Any) -> None:
        assert op == "end"
        if self is self.made[1]:
            self.lost = "cut again"
            raise ConnectionLost("dut: the connection was lost: cut again")
        self.ended.append(arguments["token"])

    def close(self) -> None:
        self.lost = "closed"


def test_what_a_lost_connection_left_is_ended_by_whichever_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_link, "Link", Link)
    monkeypatch.setattr(Link, "made", [])
    host = SshHost("dut", name="dut")
    host.reconnect()
    Link.made[0].lost = "cut"
    with pytest.raises(DeploymentError, match="cut again"):
        host.reconnect()
    host.reconnect()
    assert sorted(Link.made[2].ended) == ["token 1", "token 2"]
    host.reconnect()
    assert len(Link.made) == 3


class Channel:
    """Stands for a channel: what it starts runs here, and what is sent to it is counted."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self._timeout: float | None = None

    def settimeout(self, timeout_s: float | None) -> None:
        self._timeout = timeout_s

    def exec_command(self, line: str) -> None:
        # Something between: the hand ends what started it, which is sshd's process elsewhere.
        words = [sys.executable, "-c", "import subprocess, sys; subprocess.run(['/bin/sh', '-c', sys.argv[1]])"]
        self.process = subprocess.Popen([*words, line], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def sendall(self, octets: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(octets)
        self.sent.append(octets)

    def recv(self, octets: int) -> bytes:
        """Never idle for long, and slow: some 1 MB/s."""
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], self._timeout)[0]:
            raise TimeoutError
        time.sleep(0.004)
        return os.read(self.process.stdout.fileno(), 4096)

    def recv_stderr(self, octets: int) -> bytes:
        return b""

    def beats(self) -> int:
        return sum(b'"beat"' in octets for octets in self.sent)


class Connection:
    """Stands for fabric's, and its transport."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.transport = self

    def open_session(self, timeout: float) -> Channel:
        return self.channel

    def get_exception(self) -> None:
        return None

    def close(self) -> None:
        assert self.channel.process.stdin is not None
        self.channel.process.stdin.close()


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ssh_link.Link, Channel]]:
    connection = Connection()
    monkeypatch.setattr(ssh_connect, "connect", lambda *_: connection)
    monkeypatch.setattr(ssh_connect, "close", lambda one: one.close())
    monkeypatch.setattr(ssh_link, "SILENCE_S", 1.0)
    monkeypatch.setattr(ssh_link, "_BEAT_S", 0.1)
    link = ssh_link.Link("dut", "dut", "", None)
    yield link, connection.channel
    link.close()
    process = connection.channel.process
    process.wait(20)
    for thread in threading.enumerate():
        if thread.name.startswith("pytest-nfv ssh"):
            thread.join(20)
    assert process.stdout is not None
    process.stdout.close()


def test_hand_hears_of_us_while_a_long_answer_comes(pipes: tuple[ssh_link.Link, Channel]) -> None:
    link, channel = pipes
    before, began = channel.beats(), time.monotonic()
    told, late = link.run(["head", "-c", "1200000", "/dev/zero"], {}, [], b"", 60)
    assert time.monotonic() - began > 1.2, "it was no long answer"
    assert (told["status"], late, len(b64decode(told["stdout"]))) == (0, False, 1_200_000)
    assert channel.beats() - before >= 4
    assert link.run(["true"], {}, [], b"", 60)[0]["status"] == 0


def test_idle_connection_stays(pipes: tuple[ssh_link.Link, Channel]) -> None:
    link, channel = pipes
    told, late = link.run(["sleep", "1.5"], {}, [], b"", 60)
    assert (told["status"], late, link.lost) == (0, False, "")
    assert channel.beats() >= 8


def test_late_command_whose_child_has_left_its_session(pipes: tuple[ssh_link.Link, Channel]) -> None:
    link, _ = pipes
    argv = ["sh", "-c", "echo said; setsid -f sleep 1000; sleep 1000"]
    told, late = link.run(argv, link.marks, [], b"", 0.5)
    assert (told["status"], late, b64decode(told["stdout"])) == (-9, True, b"said\n")
    assert link.run(["true"], {}, [], b"", 60)[0]["status"] == 0
