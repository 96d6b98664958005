"""What testpmd is told, and its command line."""

from __future__ import annotations

import pytest

from pytest_nfv.dpdk.argv import Need, argv
from pytest_nfv.dpdk.settings import Settings
from pytest_nfv.errors import ConfigurationError

PEERS = ["02:6e:00:00:00:00", "02:6e:00:00:00:01"]


def test_nothing_told_is_io_between_vhost_user_ports() -> None:
    assert Settings.of({}, "testpmd") == Settings("io", "vhost_user", 1, 0, 32)


def test_all_that_can_be_told() -> None:
    told = {"mode": "macswap", "ports": "memif", "queues": "4", "slots": "4096", "burst": "64"}
    assert Settings.of(told, "testpmd") == Settings("macswap", "memif", 4, 4096, 64)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"modus": "io", "core": "1"}, "unknown setting core, modus; accepted: mode, ports, queues, slots, burst"),
        ({"mode": "csum"}, "mode 'csum': accepted: io, mac, macswap"),
        ({"ports": "tap"}, "ports 'tap': accepted: vhost_user, memif, af_xdp"),
        ({"queues": "0"}, "queues '0': accepted: a whole number from 1 to 16"),
        ({"slots": "32"}, "slots '32': accepted: a whole number from 64 to 16384"),
        ({"slots": "100"}, "slots 100: accepted: a power of two"),
        ({"burst": "513"}, "burst '513': accepted: a whole number from 1 to 512"),
        ({"burst": "\u00b2"}, "accepted: a whole number"),
        ({"ports": "af_xdp", "queues": "2"}, "queues 2: accepted with ports=af_xdp: 1"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_accepted(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Settings.of(given, "testpmd")
    assert str(caught.value).startswith("testpmd: ")
    assert message in str(caught.value)


def line(given: dict[str, str], cores: tuple[int, ...] = (0,), *, huge: bool = True, mtu: int = 1500) -> str:
    settings = Settings.of(given, "testpmd")
    need = Need.of(settings, 2, mtu)
    return " ".join(argv(settings, need, ["net_vhost0", "net_vhost1"], PEERS, cores, "run01-x", huge=huge))


def test_command_line_on_one_core_shares_it() -> None:
    assert line({"burst": "64"}) == (
        "stdbuf -oL dpdk-testpmd --lcores 0@0,1@0 --no-pci --no-telemetry --iova-mode=va --file-prefix=run01-x "
        "--in-memory --vdev net_vhost0 --vdev net_vhost1 -- -i --nb-cores=1 --forward-mode=io --burst=64 "
        "--no-flush-rx --disable-link-check --record-core-cycles --total-num-mbufs=16384 --mbuf-size=2176 "
        "--rxq=1 --txq=1 --eth-peer=0,02:6e:00:00:00:00 --eth-peer=1,02:6e:00:00:00:01"
    )


def test_a_forwarding_thread_a_core() -> None:
    assert "--lcores 0@2,1@2,2@3 " in line({}, (2, 3))
    assert "--nb-cores=2 " in line({}, (2, 3))


def test_without_huge_pages_memory_is_asked_for_at_once() -> None:
    text = line({}, huge=False)
    assert "--no-huge --no-shconf -m 202 " in text
    assert "--in-memory" not in text


def test_slots_are_testpmds_own_with_af_xdp_only() -> None:
    assert "--rxd=512 --txd=512" in line({"ports": "af_xdp", "slots": "512"})
    assert "--rxd" not in line({"ports": "memif", "slots": "512"})


def test_a_frame_of_the_mtu_lies_in_one_buffer() -> None:
    assert "--mbuf-size=9152 " in line({}, mtu=9000)
    assert Need.of(Settings(), 2, 9000).mebibytes > Need.of(Settings(), 2, 1500).mebibytes
    assert Need.of(Settings(ports="af_xdp"), 2, 1500).mbufs == 16_384 + 2 * 4 * 2048
