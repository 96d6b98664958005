"""The lock of a host: one holder, who says whose it is; and what is no lock is refused."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import host_lock
from pytest_nfv.hosts.hold import Claim, hold, holder
from pytest_nfv.hosts.host_lock import HostLock

ALICE = Claim("alice@ci3", "pytest -m line_rate", "alice1", 4711)
BOB = Claim("bob@ci4", "pytest", "bobby1", 4712)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tmp_path.chmod(0o1777)
    return tmp_path


def taken(folder: Path, claim: Claim) -> tuple[HostLock, dict[str, Any] | None]:
    lock = HostLock([folder])
    return lock, lock.take(**claim.to_json())


def test_one_holds_and_the_other_is_told_who(folder: Path) -> None:
    first, nobody = taken(folder, ALICE)
    assert nobody is None
    second, found = taken(folder, BOB)
    assert found is not None
    assert (found["who"], found["command"]) == ("alice@ci3", "pytest -m line_rate")
    assert (found["run"], found["pid"]) == ("alice1", 4711)
    first.release()
    assert second.take(**BOB.to_json()) is None
    second.release()
    assert list(folder.iterdir()) == []


def test_it_is_named_after_the_network_namespace_and_open_to_all(folder: Path) -> None:
    mask = os.umask(0o077)
    try:
        lock, _ = taken(folder, ALICE)
    finally:
        os.umask(mask)
    assert lock.path == folder / f"pytest-nfv-host-{os.stat('/proc/self/ns/net').st_ino}.lock"
    assert lock.path.stat().st_mode & 0o777 == 0o666
    lock.release()


def test_asking_again_keeps_it(folder: Path) -> None:
    lock, _ = taken(folder, ALICE)
    assert lock.take(**ALICE.to_json()) is None
    assert taken(folder, BOB)[1] is not None
    lock.release()
    lock.release()


def test_a_file_that_a_dead_holder_left_is_taken_over(folder: Path) -> None:
    lock = HostLock([folder])
    lock.path.write_text(json.dumps({"who": "mallory@ci9", "run": "gone01"}) + "x" * 5000)
    assert lock.take(**ALICE.to_json()) is None
    assert json.loads(lock.path.read_text())["who"] == "alice@ci3"
    lock.release()


def test_a_file_that_its_holder_removed_meanwhile_locks_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = taken(folder, ALICE)
    opened: list[int] = []
    really = host_lock._opened

    def opening(path: Path) -> int:
        descriptor = really(path)
        if not opened:
            first.release()  # between opening and locking
        opened.append(descriptor)
        return descriptor

    monkeypatch.setattr(host_lock, "_opened", opening)
    second, found = taken(folder, BOB)
    assert found is None
    assert len(opened) == 2
    assert json.loads(second.path.read_text())["who"] == "bob@ci4"
    second.release()


@pytest.mark.parametrize("run", [Claim("alice@ci3", "", "inner1", 1, "alice1"), ALICE])
def test_a_run_within_the_holders_is_let_in(folder: Path, run: Claim) -> None:
    outer, _ = taken(folder, ALICE)
    inner, found = taken(folder, run)
    assert found is None
    inner.release()
    assert taken(folder, BOB)[1] is not None, "the holder's lock went with the inner run's"
    outer.release()


def test_a_run_without_an_id_is_not_let_in_by_a_holder_without_one(folder: Path) -> None:
    lock = HostLock([folder])
    assert lock.take("alice@ci3", "", "", 1, "") is None
    assert HostLock([folder]).take("bob@ci4", "", "", 1, "") is not None
    lock.release()


AGENT = """
import sys
from pathlib import Path
from pytest_nfv.hosts.host_lock import HostLock
print(HostLock([Path(sys.argv[1])]).take("who", "", sys.argv[2], 1, "") is None)
"""


def test_a_process_that_descends_from_the_holders_is_let_in(folder: Path) -> None:
    lock = HostLock([folder])
    lock.take(**Claim("alice@ci3", "", "alice1", os.getppid()).to_json())
    argv = [sys.executable, "-c", AGENT, str(folder), "other1"]
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "True\n"
    lock.release()
    lock.take(**ALICE.to_json())  # whose process is not an ancestor
    assert subprocess.run(argv, capture_output=True, text=True, check=True).stdout == "False\n"
    lock.release()


def test_the_first_directory_that_is_open_to_every_user_is_taken(tmp_path: Path) -> None:
    closed, absent, open_to_all = tmp_path / "closed", tmp_path / "absent", tmp_path / "open"
    closed.mkdir(0o755)
    open_to_all.mkdir()
    open_to_all.chmod(0o1777)
    assert HostLock([closed, absent, open_to_all]).path.parent == open_to_all
    with pytest.raises(DeploymentError, match=re.escape(f"{closed} and {absent} are not open to every user")):
        HostLock([closed, absent]).take(**ALICE.to_json())


@pytest.mark.parametrize("kind", ["symbolic link", "hard link", "directory"])
def test_what_is_no_file_of_its_own_is_refused_and_left_alone(folder: Path, kind: str) -> None:
    lock, other = HostLock([folder]), folder / "other"
    other.write_text("precious")
    if kind == "symbolic link":
        lock.path.symlink_to(other)
    elif kind == "hard link":
        lock.path.hardlink_to(other)
    else:
        lock.path.mkdir()
    with pytest.raises(DeploymentError, match=r"\.lock, .*remove it"):
        lock.take(**ALICE.to_json())
    assert other.read_text() == "precious"


def test_a_full_file_system_leaves_the_lock_free(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, text: bytes, offset: int) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(DeploymentError, match=r"\.lock, cannot be written: No space left on device; make"):
            taken(folder, ALICE)
    lock, nobody = taken(folder, BOB)
    assert nobody is None
    lock.release()


class Held:
    """A host that is held for so many questions."""

    def __init__(self, times: int, order: list[str], name: str = "dut1") -> None:
        self.times, self.order, self.name = times, order, name

    def hold(self, claim: Claim) -> dict[str, Any] | None:
        self.order.append(self.name)
        self.times -= 1
        return {"who": "alice@ci3", "run": "alice1"} if self.times >= 0 else None


def test_waiting_is_told_once_and_ends_with_the_holder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pytest_nfv.hosts.hold.POLL_S", 0.001)
    told: list[str] = []
    asked: list[str] = []
    hold({"dut1": Held(3, asked)}, BOB, 60.0, told.append)
    assert len(asked) == 4
    assert told == ["host dut1 is held by alice@ci3 (run alice1); waiting, for 60 s at most (--nfv-lock-timeout)"]


def test_a_host_that_is_not_free_in_time_is_an_error_that_names_the_holder() -> None:
    with pytest.raises(DeploymentError) as caught:
        hold({"dut1": Held(9, [])}, BOB, 0.0)
    assert str(caught.value) == "host dut1 is held by alice@ci3 (run alice1); waited 0 s (--nfv-lock-timeout)"


def test_hosts_are_taken_in_one_order_by_every_run() -> None:
    order: list[str] = []
    hold({"gen1": Held(0, order, "gen1"), "dut1": Held(0, order, "dut1")}, BOB, 0.0)
    assert order == ["dut1", "gen1"]


@pytest.mark.parametrize(
    ("told", "text"),
    [
        ({}, "a run that has not said whose it is"),
        ({"who": "alice@ci3"}, "alice@ci3"),
        (
            {"who": "alice@ci3", "run": "abc12", "pid": 7, "command": "pytest", "since": 0},
            f"alice@ci3 since {datetime.fromtimestamp(0):%Y-%m-%d %H:%M} (run abc12, pid 7: pytest)",
        ),
        ({"who": "a\x1b[31m\nb", "since": 1e300, "run": ["x"]}, "a?[31m?b (run ['x'])"),
        ({"who": "x" * 9000}, "x" * 123),
    ],
)
def test_what_a_holder_says_is_shown_in_one_harmless_line(told: dict[str, Any], text: str) -> None:
    assert holder(told) == text


def test_today_is_not_told_by_its_date() -> None:
    now = datetime(2026, 3, 1, 14, 30)
    since = datetime(2026, 3, 1, 9, 12).timestamp()
    assert holder({"who": "alice@ci3", "since": since}, now) == "alice@ci3 since 09:12"


def test_a_claim_says_who_and_what_and_no_more_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_NFV_RUN", "outer1")
    claim = Claim.of_this_process("inner1", ["pytest", "-k", "a b", "x" * 500])
    assert claim.command.startswith("pytest -k 'a b' xxx")
    assert len(claim.command) == 123
    assert (claim.run_id, claim.pid, claim.inside) == ("inner1", os.getpid(), "outer1")
    assert "@" in claim.who
