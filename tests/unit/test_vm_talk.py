"""What goes between us, QEMU and a guest: the control channel, the monitor, the probe of KVM, and /proc."""

from __future__ import annotations

import base64
import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.vnfs import vm_kvm, vm_qmp
from pytest_nfv.vnfs.vm_channel import Channel
from pytest_nfv.vnfs.vm_reading import cpu_times, nic_counters


def alive() -> str:
    return ""


@pytest.fixture
def channel(tmp_path: Path) -> Iterator[Channel]:
    made = Channel(tmp_path / "c.sock", "vm0", lambda: "\nlast words")
    yield made
    made.close()
    assert not (tmp_path / "c.sock").exists()


def guest(folder: Path) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.connect(str(folder / "c.sock"))
    return one


def packed(text: str) -> bytes:
    return base64.b64encode(text.encode()) or b"-"


def test_words_go_in_and_out_whatever_is_in_them(channel: Channel, tmp_path: Path) -> None:
    awkward = "a b\n'\"$(x) ä"
    with guest(tmp_path) as inside:
        inside.sendall(b"ready 6.1.0\n" + b"7 " + packed(awkward) + b" -\n")
        assert channel.await_ready(5, alive) == "6.1.0"
        done = channel.run(["echo", awkward, ""], "", 5, alive)
        assert (done.status, done.stdout, done.stderr) == (7, awkward, "")
        assert inside.recv(4096) == b" ".join([b"-", packed("echo"), packed(awkward), b"-"]) + b"\n"


@pytest.mark.parametrize("answer", [b"0 -\n", b"x - -\n", b"0 %%% -\n", b"\n"])
def test_nonsense_breaks_the_channel(channel: Channel, tmp_path: Path, answer: bytes) -> None:
    with guest(tmp_path) as inside:
        inside.sendall(b"ready 6.1.0\n" + answer)
        channel.await_ready(5, alive)
        for _ in range(2):
            with pytest.raises(DeploymentError, match="vm0: its answer to 'true' cannot be read"):
                channel.run(["true"], "", 5, alive)


def test_a_guest_that_never_comes_is_told_with_its_last_words(channel: Channel, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="vm0: QEMU does not connect by its deadline\nlast words"):
        channel.await_ready(0, alive)
    with guest(tmp_path), pytest.raises(DeploymentError, match="it is not up by its deadline"):
        channel.await_ready(0.2, alive)


def test_the_end_of_qemu_is_told_before_any_deadline(channel: Channel, tmp_path: Path) -> None:
    with pytest.raises(DeploymentError, match="vm0: QEMU ended\nlast words"):
        channel.await_ready(1e6, lambda: "QEMU ended")


def test_a_closed_channel_is_told(channel: Channel, tmp_path: Path) -> None:
    with guest(tmp_path) as inside:
        inside.sendall(b"ready 6.1.0\n")
        channel.await_ready(5, alive)
    with pytest.raises(DeploymentError, match="vm0: the control channel is closed"):
        channel.run(["true"], "", 5, alive)
    with pytest.raises(DeploymentError, match="vm0: the control channel is closed"):
        channel.run(["true"], "", 5, alive)


def test_a_command_without_end_makes_the_guest_useless(channel: Channel, tmp_path: Path) -> None:
    with guest(tmp_path) as inside:
        inside.sendall(b"ready 6.1.0\n")
        channel.await_ready(5, alive)
        with pytest.raises(DeploymentError, match="'sleep 9' is not done by its deadline"):
            channel.run(["sleep", "9"], "", 0.1, alive)
        inside.sendall(b"0 - -\n")  # the late answer is not the next one's
        with pytest.raises(DeploymentError, match="'sleep 9' is not done"):
            channel.run(["true"], "", 5, alive)


class Monitor:
    """A QEMU monitor that answers each command as told."""

    def __init__(self, path: Path, answers: dict[str, Any]) -> None:
        self._answers = answers
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            one, _ = self._listener.accept()
            with one:
                version = {"qemu": {"major": 7, "minor": 2, "micro": 0}, "package": ""}
                self._say(one, {"QMP": {"version": version, "capabilities": []}})
                while heard := one.recv(4096):
                    asked = json.loads(heard)  # a command a time, without a line's end
                    number = {"id": asked["id"]} if "id" in asked else {}
                    self._say(one, self._answers.get(asked["execute"], {"return": {}}) | number)

    def _say(self, one: socket.socket, what: dict[str, Any]) -> None:
        one.sendall(json.dumps(what).encode() + b"\n")

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()


@pytest.fixture
def monitor(tmp_path: Path) -> Iterator[Callable[[dict[str, Any]], Path]]:
    pytest.importorskip("qemu.qmp", reason="pip install 'pytest-nfv[vm]'")
    made: list[Monitor] = []

    def make(answers: dict[str, Any]) -> Path:
        path = tmp_path / f"{len(made)}.sock"
        made.append(Monitor(path, answers))
        return path

    yield make
    for one in made:
        one.close()


def test_threads_come_in_the_order_of_their_processors(monitor: Callable[[dict[str, Any]], Path]) -> None:
    answer = [{"cpu-index": 1, "thread-id": 70}, {"cpu-index": 0, "thread-id": 90}]
    assert vm_qmp.processors(monitor({"query-cpus-fast": {"return": answer}})) == [90, 70]


def test_a_monitor_that_refuses_or_is_not_there_is_told(
    monitor: Callable[[dict[str, Any]], Path], tmp_path: Path
) -> None:
    refusal = {"error": {"class": "GenericError", "desc": "no such thing"}}
    with pytest.raises(DeploymentError, match="query-cpus-fast: no such thing"):
        vm_qmp.processors(monitor({"query-cpus-fast": refusal}))
    with pytest.raises(DeploymentError, match="cannot be read"):
        vm_qmp.processors(monitor({"query-cpus-fast": {"return": [{}]}}))
    with pytest.raises(DeploymentError, match=r"QEMU's monitor .*nobody\.sock: query-status"):
        vm_qmp.ask(tmp_path / "nobody.sock", "query-status")


def test_without_qemu_qmp_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def absent(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", absent)
    with pytest.raises(CapabilityMissing, match=r"qemu\.qmp is not installed; pip install 'pytest-nfv\[vm\]'"):
        vm_qmp.available()


def program(folder: Path, script: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put a QEMU of words before any other."""
    path = folder / "qemu-system-x86_64"
    path.write_text(f"#!/bin/sh\necho run >>{folder}/runs\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_kvm_is_believed_only_where_a_guest_ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    device = tmp_path / "kvm-device"
    assert vm_kvm.kvm(LocalHost(), tmp_path, device) == f"there is no {device}"
    (tmp_path / "kvm").unlink()
    device.touch()
    program(tmp_path, "echo no KVM >&2; exit 1", monkeypatch)
    why = f"{device} opens, but a guest of a few instructions does not run: it ended by exit status 1: no KVM"
    assert vm_kvm.kvm(LocalHost(), tmp_path, device) == why
    program(tmp_path, "exit 85", monkeypatch)
    assert vm_kvm.kvm(LocalHost(), tmp_path, device) == why  # known for the rest of the run
    (tmp_path / "kvm").unlink()
    assert vm_kvm.kvm(LocalHost(), tmp_path, device) == ""
    assert len((tmp_path / "runs").read_text().split()) == 2
    assert not list(tmp_path.glob("*.rom"))


def test_a_guest_that_hangs_is_no_kvm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm_kvm, "DEADLINE_S", 0.3)
    program(tmp_path, "exec sleep 60", monkeypatch)
    assert vm_kvm.runs_guests(LocalHost(), "kvm", tmp_path) == "it does not end within 0.3 s"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may open everything")
def test_kvm_not_permitted_is_told(tmp_path: Path) -> None:
    device = tmp_path / "kvm-device"
    device.touch(0)
    assert "may not be opened by this user (group kvm)" in vm_kvm.kvm(LocalHost(), tmp_path, device)


DEV = """Inter-|   Receive                            |  Transmit
 face |bytes packets errs drop fifo frame packed multicast|bytes packets errs drop fifo colls carrier pack
    lo:    0       0    0    0    0     0      0         0     0       0    0    0    0     0       0          0
  nic0:  640      10    1    2    0     0      0         0  1280      20    3    4    0     0       0          0
"""


def test_counters_are_read() -> None:
    nic = nic_counters(DEV)["nic0"]
    assert (nic.rx_frames, nic.rx_octets, nic.rx_errors, nic.rx_drops) == (10, 640, 1, 2)
    assert (nic.tx_frames, nic.tx_octets, nic.tx_errors, nic.tx_drops) == (20, 1280, 3, 4)
    with pytest.raises(DeploymentError, match="cannot be read: 1 columns of 16"):
        nic_counters("\n\nnic0: 1\n")
    with pytest.raises(DeploymentError, match="cannot be read"):
        nic_counters("\n\nnic0: " + "x " * 16)


def test_what_a_guest_did_since_a_moment() -> None:
    before = cpu_times("cpu  100 0 100 1000 0 0 0 0 0 0\ncpu0 1\n")
    after = cpu_times("cpu  110 10 110 1040 10 10 10 0 0 0\ncpu0 1\n")
    used = after.since(before, "vnf0")
    assert used.name == "vnf0"
    seconds = (used.user_s, used.system_s, used.softirq_s, used.idle_s, used.steal_s)
    assert seconds == pytest.approx((0.2, 0.2, 0.1, 0.5, 0.0))  # interrupts are the kernel's, waiting is idle
    assert used.busy == pytest.approx(0.5)
    assert before.since(before, "vnf0").busy == 0.0
    with pytest.raises(DeploymentError, match="/proc/stat cannot be read"):
        cpu_times("intr 5")
