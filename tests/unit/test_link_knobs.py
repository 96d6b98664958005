"""Settings of a network card: the structures of linux/ethtool.h, and virtual interfaces where we may make some."""

from __future__ import annotations

import json
import re
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_nfv.hosts.tuning.journal import Journal
from pytest_nfv.hosts.tuning.link_knobs import LinkKnob

HEAD = struct.Struct("=IIBBBBBBBb")


class Card:
    """A driver as the kernel's ethtool ioctl shows it: pause parameters, and link settings of two-word masks."""

    def __init__(self, *, autoneg: bool = True, words: int = 2) -> None:
        self.pause = [1, 1, 0]
        self.autoneg, self.words = autoneg, words
        self.speed, self.duplex = 10_000, 1
        self.advertised = bytes(range(1, 4 * words + 1))
        self.written: list[int] = []

    def __call__(self, interface: str, request: bytes) -> bytes:
        assert interface == "eth1"
        command = struct.unpack_from("=I", request)[0]
        if command in (0x13, 0x4D):
            self.written.append(command)
        return {0x12: self._pause, 0x13: self._set_pause, 0x4C: self._link, 0x4D: self._set_link}[command](request)

    def _pause(self, request: bytes) -> bytes:
        assert len(request) == 16
        return struct.pack("=4I", 0x12, *self.pause)

    def _set_pause(self, request: bytes) -> bytes:
        self.pause = list(struct.unpack("=4I", request)[1:])
        return request

    def _link(self, request: bytes) -> bytes:
        asked = HEAD.unpack_from(request)[-1]
        if asked != self.words:  # the kernel then says how many it has
            return HEAD.pack(0x4C, *[0] * 8, -self.words).ljust(len(request), b"\0")
        assert len(request) == 48 + 12 * self.words
        head = HEAD.pack(0x4C, self.speed, self.duplex, 3, 0, int(self.autoneg), 0, 0, 0, self.words)
        supported = b"\xff" * 4 * self.words
        return head.ljust(48, b"\0") + supported + self.advertised + bytes(4 * self.words)

    def _set_link(self, request: bytes) -> bytes:
        _, self.speed, self.duplex, _, _, autoneg, _, _, _, words = HEAD.unpack_from(request)
        assert words == self.words
        self.autoneg = bool(autoneg)
        self.advertised = request[48 + 4 * words : 48 + 8 * words]
        return request


def of_card(key: str, card: Card) -> LinkKnob:
    kind, _, interface = key.partition(":")
    return LinkKnob(kind, interface, exchange=card)


def test_flow_control_is_one_text() -> None:
    card = Card()
    knob = LinkKnob("pause", "eth1", exchange=card)
    assert knob.read() == "autoneg=on rx=on tx=off"
    knob.write("autoneg=off rx=off tx=off")
    assert card.pause == [0, 0, 0]
    knob.write("autoneg=on rx=on tx=off")
    assert card.pause == [1, 1, 0]


def test_auto_negotiation_goes_off_and_back_with_what_was_advertised() -> None:
    card = Card()
    knob = LinkKnob("link", "eth1", exchange=card)
    before = knob.read()
    assert before == f"on advertising={card.advertised.hex()}"
    off = knob.switched(on=False)
    assert off == "off speed=10000 duplex=1"
    knob.write(off)
    assert (card.autoneg, card.speed, card.duplex) == (False, 10_000, 1)
    assert knob.read() == off
    card.advertised = bytes(8)  # as some drivers do
    knob.write(before)
    assert knob.read() == before


def test_auto_negotiation_that_was_never_on_advertises_all_that_is_supported() -> None:
    card = Card(autoneg=False)
    card.advertised = bytes(8)
    assert LinkKnob("link", "eth1", exchange=card).switched(on=True) == f"on advertising={'ff' * 8}"


def test_a_card_that_is_on_its_way_home_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card, away = Card(), iter([True, True, False])
    journal = Journal(tmp_path)
    journal.change("flow-control", LinkKnob("pause", "eth1", exchange=card), "autoneg=off rx=off tx=off")

    def exchange(interface: str, request: bytes) -> bytes:
        if next(away, False):
            raise OSError(19, "No such device")
        return card(interface, request)

    monkeypatch.setattr(
        "pytest_nfv.hosts.tuning.journal.knob_of", lambda key: LinkKnob("pause", "eth1", 0, exchange)
    )
    assert journal.put_back().done == ["pause:eth1"]
    assert card.pause == [1, 1, 0]


def test_a_card_that_does_not_come_home_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path)
    journal.change("flow-control", LinkKnob("pause", "eth1", exchange=Card()), "autoneg=off rx=off tx=off")
    monkeypatch.setattr("pytest_nfv.hosts.tuning.journal.HOME_DEADLINE_S", 0.1)
    (told,) = journal.put_back().left
    assert told == "pause:eth1 has to be autoneg=on rx=on tx=off again: No such device; it is gone"


def test_a_card_that_another_run_has_is_kept_for_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, other = tmp_path / "alice1", tmp_path / "bobby1"
    run.mkdir()
    other.mkdir()
    (other / "adopted.json").write_text(json.dumps([{"interface": "eth1", "name": "p0"}]))
    card = Card()
    journal = Journal(run)
    journal.change("flow-control", LinkKnob("pause", "eth1", exchange=card), "autoneg=off rx=off tx=off")
    monkeypatch.setattr("pytest_nfv.hosts.tuning.journal.HOME_DEADLINE_S", 0.1)
    (told,) = journal.put_back().trouble
    assert told == "pause:eth1 has to be autoneg=on rx=on tx=off again: No such device; it is with run bobby1"
    (other / "adopted.json").unlink()
    monkeypatch.setattr("pytest_nfv.hosts.tuning.journal.knob_of", lambda key: of_card(key, card))
    assert Journal(run).put_back().done == ["pause:eth1"]
    assert card.pause == [1, 1, 0]


def test_a_driver_without_link_settings() -> None:
    with pytest.raises(OSError, match="the driver does not tell its link settings"):
        LinkKnob("link", "eth1", exchange=Card(words=0)).read()


def test_a_journal_puts_a_card_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    card = Card()
    monkeypatch.setattr("pytest_nfv.hosts.tuning.journal.knob_of", lambda key: of_card(key, card))
    journal = Journal(tmp_path)
    journal.change("flow-control", LinkKnob("pause", "eth1", exchange=card), "autoneg=off rx=off tx=off")
    knob = LinkKnob("link", "eth1", exchange=card)
    journal.change("auto-negotiation", knob, knob.switched(on=False))
    assert sorted(Journal(tmp_path).put_back().done) == ["link:eth1", "pause:eth1"]
    assert (card.pause, card.autoneg) == ([1, 1, 0], True)


REAL = """
import json, os, subprocess, sys
from pathlib import Path
from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts import kernel, tap
from pytest_nfv.hosts.tuning.link_knobs import LinkKnob
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.table import put_back, tune
from pyroute2 import IPRoute

run, links = Path(sys.argv[1]), IPRoute()
links.link("add", ifname="v0", kind="veth", peer={"ifname": "v1"})
tap.make("t0", 1500, 1)

def state():
    return {key: LinkKnob(*key.split(":")).read() for key in ("tso:v0", "gso:v0", "link:t0")}

def refused(name, value, interface):
    try:
        tune(run, name, value, Scope(interfaces=[interface]))
    except (CapabilityMissing, DeploymentError) as error:
        return str(error)

def put_back_from_another():
    # As a reaper that was started in another network namespace does.
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    somebody = subprocess.Popen(["sleep", "60"])  # who lives in the host's own
    kernel.unshare(kernel.CLONE_NEWNET)
    try:
        return put_back(run)
    finally:
        kernel.setns(here, kernel.CLONE_NEWNET)
        somebody.kill()
        somebody.wait()

before = state()
said = [refused("flow-control", "off", "v0"), refused("offloads", "off", "none0")]
tune(run, "offloads", "off", Scope(interfaces=["v0"]))
tune(run, "auto-negotiation", "on", Scope(interfaces=["t0"]))
during = state()
other = put_back_from_another()
print(json.dumps([before, during, state(), said, other]))
"""


def test_real_virtual_interfaces_are_set_and_put_back(tmp_path: Path) -> None:
    argv = ["unshare", "--user", "--map-root-user", "--net", sys.executable, "-c", REAL, str(tmp_path)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        why = done.stderr.strip().splitlines()[-1]
        pytest.skip(f"no interfaces of our own: {why}; allow user namespaces and /dev/net/tun")
    before, during, after, (pause, gone), put_back = json.loads(done.stdout)
    assert (before["tso:v0"], before["gso:v0"]) == ("on", "on")
    assert (during["tso:v0"], during["gso:v0"]) == ("off", "off")
    assert before["link:t0"].startswith("off ")
    assert during["link:t0"].startswith("on ")
    assert after == before
    assert len(put_back) == 3
    assert all(one.startswith("change of ") for one in put_back)
    assert re.sub("@[0-9]+", "", pause) == (
        "pause:v0 cannot be set to autoneg=off rx=off tx=off: Operation not supported"
    )
    assert re.sub("@[0-9]+", "", gone) == "tso:none0 cannot be set to off: No such device"


def test_a_card_of_a_namespace_that_has_ended_is_gone() -> None:
    with pytest.raises(FileNotFoundError):
        LinkKnob.of("tso", "lo@1").read()
    assert LinkKnob.of("tso", "lo@7").key == "tso:lo@7"
