"""Our hand on a far host, on this one: a process that is spoken to over pipes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.hosts import hand, ssh_wire

MARK, TOKEN = "0123456789abcdef", "token-of-a-test"
LATE_S = 20.0


class Hand:
    """One, below a shell that stands for sshd's process."""

    def __init__(self, silence_s: float) -> None:
        sshd = [sys.executable, "-c", "import subprocess, sys; subprocess.run(['/bin/sh', '-c', sys.argv[1]])"]
        self.process = subprocess.Popen(
            [*sshd, ssh_wire.command_line(sys.executable)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.write, self.read = self.process.stdin, self.process.stdout
        self.write.write(ssh_wire.hand(MARK, TOKEN, silence_s))
        self.write.flush()
        assert self.read.readline() == MARK.encode() + b"\n"
        self.hello = json.loads(self.read.readline())["ok"]

    def ask(self, op: str, **arguments: Any) -> Any:
        self.write.write(json.dumps({"id": 7, "op": op, **arguments}).encode() + b"\n")
        self.write.flush()
        answer = json.loads(self.read.readline())
        assert answer.pop("id") == 7
        return answer


@pytest.fixture
def far() -> Iterator[Hand]:
    made = Hand(LATE_S)
    yield made
    made.write.close()
    made.process.wait(LATE_S)
    made.read.close()


def marked() -> subprocess.Popen[bytes]:
    """Start something that carries the connection's token and minds nothing but SIGKILL."""
    argv = ["sh", "-c", "trap '' TERM HUP; echo up; sleep 1000; sleep 1000"]
    environment = os.environ | {hand.TOKEN_VARIABLE: TOKEN}
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, start_new_session=True)
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    return process


def test_files(far: Hand, tmp_path: Path) -> None:
    path = str(tmp_path / "-file")
    assert far.ask("write", path=path, text="ü") == {"ok": None}
    assert far.ask("read_one", path=path) == {"ok": "ü"}
    assert far.ask("read", paths=[path, "/nonexistent"]) == {"ok": {path: "ü"}}
    refused = far.ask("read_one", path="/nonexistent")
    assert refused == {"errno": 2, "error": "No such file or directory", "path": "/nonexistent"}


def test_hello_says_where_it_is(far: Hand) -> None:
    assert far.hello["home"] == os.path.expanduser("~")
    assert far.hello["sshd"] == far.process.pid
    assert far.hello["born"] == hand.born_at(far.process.pid)


@pytest.mark.parametrize("how", ["end", "silence"])
def test_its_end_is_the_end_of_all(how: str) -> None:
    made = Hand(0.5 if how == "silence" else LATE_S)
    process = marked()
    try:
        if how == "end":
            made.write.close()
        assert process.wait(LATE_S) == -9
        assert made.process.wait(LATE_S) == -9, "sshd's process stays"
    finally:
        process.kill()
        assert process.stdout is not None
        for stream in (process.stdout, made.read, made.write):
            stream.close()


def test_remains_of_a_lost_connection(far: Hand) -> None:
    process = marked()
    with subprocess.Popen(["sleep", "1000"]) as sshd:
        assert far.ask("end", token=TOKEN, sshd=sshd.pid, born="another's")["ok"] >= 1
        assert process.wait(LATE_S) == -9
        assert sshd.poll() is None  # that number is another process's by now
        assert far.ask("end", token=TOKEN, sshd=sshd.pid, born=hand.born_at(sshd.pid)) == {"ok": 0}
        assert sshd.wait(LATE_S) == -9
    assert process.stdout is not None
    process.stdout.close()


def test_signals_go_to_the_group(far: Hand) -> None:
    process = subprocess.Popen(
        ["sh", "-c", "sleep 1000 & echo $!; wait"], start_new_session=True, stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    handle = os.pidfd_open(int(process.stdout.readline()))
    assert far.ask("send", pid=process.pid, number=15) == {"ok": True}
    assert process.wait(LATE_S) == -15
    assert select.select([handle], [], [], LATE_S)[0]
    os.close(handle)
    process.stdout.close()
    with subprocess.Popen(["true"], start_new_session=True) as gone:
        gone.wait()
    assert far.ask("send", pid=gone.pid, number=15) == {"ok": False}
