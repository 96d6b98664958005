"""Our hand on a far host, on this one: a process that is spoken to over pipes."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pytest_nfv.hosts import hand, ssh_wire
from tests.unit.test_ssh_wire import ECHO, WORD

MARK, TOKEN = "0123456789abcdef", "token-of-a-test"
LATE_S = 20.0


class Hand:
    """One, below a shell that stands for sshd's process."""

    def __init__(self, silence_s: float, folder: Path | None = None) -> None:
        sshd = [sys.executable, "-c", "import subprocess, sys; subprocess.run(['/bin/sh', '-c', sys.argv[1]])"]
        self.process = subprocess.Popen(
            [*sshd, ssh_wire.command_line(sys.executable)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=folder,
            bufsize=0,  # select sees what came
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.write, self.read = self.process.stdin, self.process.stdout
        self.write.write(ssh_wire.hand(MARK, TOKEN, silence_s))
        self.write.flush()
        assert self.read.readline() == MARK.encode() + b"\n"
        self.hello = json.loads(self.read.readline())["ok"]

    def tell(self, number: int, op: str, /, **arguments: Any) -> None:
        self.write.write(json.dumps({"id": number, "op": op, **arguments}).encode() + b"\n")
        self.write.flush()

    def hear(self, number: int) -> Any:
        assert select.select([self.read], [], [], LATE_S)[0], "no answer"
        answer = json.loads(self.read.readline())
        assert answer.pop("id") == number
        return answer

    def ask(self, op: str, /, **arguments: Any) -> Any:
        self.tell(7, op, **arguments)
        return self.hear(7)

    def start(self, number: int, argv: list[str], options: list[str] | None = None, **env: str) -> None:
        marks = {hand.TOKEN_VARIABLE: TOKEN}
        stdin = b64encode(b"read by it").decode()
        self.tell(number, "run", argv=argv, env=marks | env, options=options or [], stdin=stdin)


@pytest.fixture
def far(tmp_path: Path) -> Iterator[Hand]:
    made = Hand(LATE_S, tmp_path)
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


def until_there(path: Path) -> None:
    deadline = time.monotonic() + LATE_S
    while not path.exists():
        assert time.monotonic() < deadline, f"{path} does not come"
        time.sleep(0.01)


def test_command_that_closes_its_streams_and_runs_on_holds_up_nothing(far: Hand, tmp_path: Path) -> None:
    closed, go = tmp_path / "closed", tmp_path / "go"
    far.start(1, ["sh", "-c", "exec <&- >&- 2>&-; : > closed; until [ -e go ]; do sleep 0.01; done; exit 3"])
    until_there(closed)
    assert far.ask("beat") == {"ok": None}
    far.start(2, ["true"])
    assert far.hear(2)["ok"]["status"] == 0
    go.touch()
    assert far.hear(1)["ok"]["status"] == 3


def test_command_that_is_ended_while_a_child_out_of_reach_holds_its_streams(far: Hand, tmp_path: Path) -> None:
    far.start(1, ["sh", "-c", "echo said; setsid -f sh -c ': > up; exec sleep 1000'; sleep 1000"])
    until_there(tmp_path / "up")
    assert far.ask("end_run", run=1) == {"ok": True}
    told = far.hear(1)["ok"]
    assert (told["status"], b64decode(told["stdout"])) == (-9, b"said\n")
    far.start(1, ["sh", "-c", "setsid -f sleep 1000; : > over"])  # it has ended, and its child holds its streams
    until_there(tmp_path / "over")
    far.tell(7, "end_run", run=1)
    assert "ok" in far.hear(7)
    assert far.hear(1)["ok"]["status"] in (0, -9)
    assert far.ask("end_run", run=1) == {"ok": False}


def test_answer_that_takes_longer_than_silence_may() -> None:
    made = Hand(0.5)
    made.start(1, ["head", "-c", "1000000", "/dev/zero"])
    begun, read = time.monotonic(), b""
    while not read.endswith(b"\n"):
        read += os.read(made.read.fileno(), 4096)
        time.sleep(0.003)  # a slow line
    assert time.monotonic() - begun > 0.6
    assert len(b64decode(json.loads(read)["ok"]["stdout"])) == 1_000_000
    assert made.ask("beat") == {"ok": None}
    made.write.close()
    made.process.wait(LATE_S)
    made.read.close()


@given(text=st.binary() | st.text("a\n").map(str.encode), cuts=st.lists(st.integers(0, 100)))
def test_lines_however_they_are_cut(text: bytes, cuts: list[int]) -> None:
    lines = hand.Lines()
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    found = [line for one, two in pairwise(edges) for line in lines.feed(text[one:two])]
    assert found == text.split(b"\n")[:-1]


def test_long_line_is_not_gone_through_with_each_piece() -> None:
    lines, piece = hand.Lines(), b"x" * 4096
    started = time.process_time()
    for _ in range(8192):
        assert lines.feed(piece) == []
    assert [len(line) for line in lines.feed(b"\n")] == [8192 * 4096]
    assert time.process_time() - started < 5  # some 20 ms; it was minutes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(words=st.lists(WORD, max_size=4), value=WORD, cores=WORD)
def test_no_word_of_a_run_can_be_a_command_of_its_own(
    words: list[str], value: str, cores: str, far: Hand, tmp_path: Path
) -> None:
    argv = [sys.executable, "-I", "-S", "-c", ECHO, *words]
    far.start(1, argv, TOLD=value)
    told = far.hear(1)["ok"]
    assert (told["status"], told["failed"]) == (0, "")
    assert json.loads(b64decode(told["stdout"])) == [words, value, "read by it"]
    far.start(2, argv, ["--cores", f"{cores}x"])  # none that there is
    told = far.hear(2)["ok"]
    assert (told["status"], told["stdout"]) == (127, "")
    assert list(tmp_path.iterdir()) == []
