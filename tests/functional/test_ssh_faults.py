"""What goes wrong on the way to a far host: each ends in a message that helps, and nothing stays over there."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.hand import SILENCE_S
from pytest_nfv.hosts.lines import JsonLines, LinesBroken
from pytest_nfv.hosts.ssh import SshHost
from tests.functional.conftest import wait_for
from tests.functional.ssh_lab import SshLab, ssh_lab

SLEEP = ["sleep", "1000"]
NOTICED_S = 8.0  # TCP_USER_TIMEOUT, and the kernel's own rounding


@pytest.fixture
def lab(needs: Callable[[str], None], tmp_path: Path, nothing_left: None) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path) as made:
        yield made


@pytest.fixture
def far(lab: SshLab) -> Iterator[SshHost]:
    host = lab.ssh("dut", "run01")
    yield host
    host.close()


def commands(lab: SshLab) -> list[str]:
    """What runs on the far side, but for its sshd."""
    found = []
    for pid in lab.dut.processes():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if not words[0].startswith(("sshd", "/usr/sbin/sshd", "nsenter")) and words[0]:
            found.append(" ".join(words))
    return found


def nothing_runs(lab: SshLab, deadline_s: float = 5.0) -> None:
    wait_for(lambda: not commands(lab), lambda: f"nothing runs on dut; there are {commands(lab)}", deadline_s)


def test_cable_cut_during_a_command(lab: SshLab, far: SshHost) -> None:
    process = far.start(SLEEP)  # a second process, with a child of its own that ignores its end
    stubborn = ["sh", "-c", "trap '' TERM HUP PIPE; (sleep 1000); sleep 1000"]
    other = far.start(stubborn)
    lab.dut.cut()
    started = time.monotonic()
    with pytest.raises(CommandError, match="on dut: sleep 1000: the connection was lost: ") as caught:
        far.run(SLEEP, timeout_s=60)
    assert time.monotonic() - started < NOTICED_S
    assert caught.value.host == "dut"
    assert process.poll() == other.poll() == 255
    assert "the connection was lost" in process.stderr_tail()
    assert process.stop() == 255
    with pytest.raises(DeploymentError, match=r"dut \(root@[0-9.]+:22\): cannot connect: "):
        far.run(["true"])
    lab.dut.mend()
    assert commands(lab)  # nobody has told it yet
    assert far.run(["echo", "again"]).stdout == "again\n"
    wait_for(
        lambda: len(commands(lab)) == 1, lambda: f"only the new hand runs on dut; there are {commands(lab)}", 5
    )
    assert other.stop() == 255


def test_cable_cut_and_nobody_comes_again(lab: SshLab, far: SshHost) -> None:
    process = far.start(["sh", "-c", "trap '' TERM HUP PIPE; (sleep 1000); sleep 1000"])
    lab.dut.cut()
    assert commands(lab)
    nothing_runs(lab, SILENCE_S + 10)
    assert process.stop() == 255


def test_cable_cut_during_a_conversation(lab: SshLab, far: SshHost) -> None:
    process = far.start(["cat"])
    lines = JsonLines(process)
    lines.tell({"op": "first"})
    assert lines.answer(5) == {"op": "first"}
    lab.dut.cut()
    started = time.monotonic()
    with pytest.raises(LinesBroken, match="it ended"):
        lines.answer(60)
    assert time.monotonic() - started < NOTICED_S
    assert "the connection was lost" in process.stderr_tail()
    process.stop()


def test_sshd_killed_during_a_command_is_noticed_at_once(lab: SshLab, far: SshHost) -> None:
    far.run(["true"])
    killer = subprocess.Popen(  # while this thread waits for the command
        [
            sys.executable,
            "-c",
            "import os, sys, time\ntime.sleep(1)\nfor pid in sys.argv[1:]: os.kill(int(pid), 9)",
        ]
        + [str(pid) for pid in lab.dut.processes() if "sshd" in Path(f"/proc/{pid}/comm").read_text()]
    )
    started = time.monotonic()
    with pytest.raises(CommandError, match="the connection was lost"):
        far.run(SLEEP, timeout_s=60)
    assert time.monotonic() - started < 4
    killer.wait()
    nothing_runs(lab)
    lab.dut.stop_sshd()
    lab.dut.start_sshd()
    assert far.run(["hostname"]).stdout == "dut\n"


def test_sshd_restarted_leaves_what_runs(lab: SshLab, far: SshHost) -> None:
    process = far.start(["cat"])
    lab.dut.stop_sshd(sessions=False)
    lab.dut.start_sshd()
    process.stdin.write("still here\n")
    process.stdin.flush()
    assert process.stdout.readline() == "still here\n"
    assert process.stop() == 0


def test_command_that_never_returns(lab: SshLab, far: SshHost) -> None:
    far.run(["true"])
    before = len(commands(lab))
    with pytest.raises(CommandError, match=r"on dut: sh -c .*: not done after 0\.5 s"):
        far.run(["sh", "-c", "trap '' TERM; sleep 1000; sleep 1000"], timeout_s=0.5)
    wait_for(lambda: len(commands(lab)) == before, lambda: f"the command has ended: {commands(lab)}", 5)
    assert far.run(["echo", "next"]).stdout == "next\n"  # over the same connection


def test_command_that_never_returns_and_a_child_out_of_reach(far: SshHost) -> None:
    far.run(["true"])
    with pytest.raises(CommandError, match=r"not done after 0\.5 s\nsaid"):
        far.run(["sh", "-c", "echo said >&2; setsid -f sleep 1000; sleep 1000"], timeout_s=0.5)
    assert far.run(["echo", "next"]).stdout == "next\n"


def test_we_are_killed(lab: SshLab) -> None:
    code = f"""
import sys
from pathlib import Path
from pytest_nfv.hosts.ssh import SshHost
host = SshHost("dut", "run01", name="dut", config_file=Path({str(lab.config)!r}))
host.start(["sh", "-c", "trap '' TERM HUP PIPE; (sleep 1000); sleep 1000"])
print("started", flush=True)
host.run(["sleep", "1000"], timeout_s=1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout is not None
        assert ours.stdout.readline() == "started\n"
        assert any("sleep" in command for command in commands(lab))
        ours.send_signal(signal.SIGKILL)
    nothing_runs(lab)


def test_what_was_started_unbound_goes_on_and_sees_the_end(lab: SshLab, far: SshHost, tmp_path: Path) -> None:
    process = far.start_unbound(["sh", "-c", f"cat; sleep 1; echo done > {tmp_path}/undone"])
    lab.dut.stop_sshd()
    wait_for(lambda: (tmp_path / "undone").exists(), "it has put back what it was to put back")
    nothing_runs(lab)
    assert process.stop() == 255


def test_unknown_host_key_is_refused(lab: SshLab, far: SshHost) -> None:
    lab.know("gen")
    with pytest.raises(DeploymentError, match="its host key is not known") as caught:
        far.run(["true"])
    assert f"ssh-keyscan {lab.dut.address} >> {lab.folder}/known_hosts" in str(caught.value)
    assert "ssh-ed25519 SHA256:" in str(caught.value)
    assert not commands(lab)
    lab.know("dut")
    assert far.run(["hostname"]).stdout == "dut\n"


def test_changed_host_key_is_refused(lab: SshLab, far: SshHost) -> None:
    assert far.run(["hostname"]).stdout == "dut\n"
    far.close()
    lab.dut.stop_sshd()
    lab.dut.new_host_key()
    lab.dut.start_sshd()
    with pytest.raises(DeploymentError, match="ITS HOST KEY HAS CHANGED") as caught:
        far.run(["true"])
    assert f"ssh-keygen -R {lab.dut.address}" in str(caught.value)
    assert str(caught.value).count("SHA256:") == 2
    nothing_runs(lab)


def test_host_keys_of_a_jump_host_are_verified_too(lab: SshLab) -> None:
    lab.know("gen")
    with pytest.raises(DeploymentError, match="its host key is not known"):
        lab.ssh("dut-behind-itself").run(["true"])


def test_by_a_jump_host(lab: SshLab) -> None:
    host = lab.ssh("dut-behind-itself")
    assert host.run(["hostname"]).stdout == "dut\n"
    host.close()
    nothing_runs(lab)


def test_key_that_is_not_accepted(lab: SshLab, far: SshHost) -> None:
    (lab.folder / "authorized_keys").write_text("")
    with pytest.raises(DeploymentError, match="no key was accepted for user root; put one into"):
        far.run(["true"])
    assert not commands(lab)


def test_host_that_is_not_there(lab: SshLab) -> None:
    unused = lab.config.with_name("unused")
    address = lab.dut.address.rpartition(".")[0] + ".255"
    unused.write_text(f"Host off\n  HostName {address}\n  ConnectTimeout 1\n")
    with pytest.raises(DeploymentError, match=r"off \(.*\): cannot connect: "):
        SshHost("off", name="off", config_file=unused).run(["true"])
    lab.dut.stop_sshd()
    with pytest.raises(DeploymentError, match="Connection refused; is sshd running there"):
        lab.ssh("dut").run(["true"])


def test_full_disk(lab: SshLab, far: SshHost, tmp_path: Path) -> None:
    lab.dut.inside("mkdir", "/run/small")
    lab.dut.inside("mount", "-t", "tmpfs", "-o", "size=64k", "none", "/run/small")
    big = tmp_path / "big"
    big.write_bytes(os.urandom(1 << 20))
    with pytest.raises(OSError, match="No space left on device") as put:
        far.put(big, "/run/small/big")
    with pytest.raises(OSError, match="No space left on device") as written:
        far.write_text("/run/small/text", "x" * (1 << 20))
    assert put.value.errno == written.value.errno == errno.ENOSPC
    assert "dut" in str(put.value)
    assert "big" not in lab.dut.inside("ls", "-A", "/run/small")


def test_slow_link(lab: SshLab, far: SshHost, tmp_path: Path) -> None:
    far.run(["true"])
    lab.dut.slow("400kbit")
    some = tmp_path / "some"
    some.write_bytes(os.urandom(200_000))
    far.put(some, str(tmp_path / "there"))
    assert (tmp_path / "there").read_bytes() == some.read_bytes()
    some.write_bytes(os.urandom(2_000_000))
    with pytest.raises(CommandError, match=r"not done after 2 s"):
        far.put(some, str(tmp_path / "late"), timeout_s=2)
    assert not (tmp_path / "late").exists()
    assert not list(tmp_path.glob(".*.part"))


def test_answer_that_takes_long_on_a_slow_link(lab: SshLab, far: SshHost) -> None:
    far.run(["true"])
    lab.dut.slow("1mbit")
    began = time.monotonic()
    done = far.run(["head", "-c", "2200000", "/dev/zero"], timeout_s=90)
    assert len(done.stdout) == 2_200_000
    assert time.monotonic() - began > SILENCE_S
    assert far.run(["echo", "next"]).stdout == "next\n"  # over the same connection


def test_more_commands_than_sshd_takes_on_a_connection(lab: SshLab, far: SshHost) -> None:
    processes = [far.start(["cat"]) for _ in range(15)]  # MaxSessions is 10
    for number, process in enumerate(processes):
        process.stdin.write(f"{number}\n")
        process.stdin.flush()
        assert process.stdout.readline() == f"{number}\n"
    assert {process.stop() for process in processes} == {0}
    far.close()
    nothing_runs(lab)
