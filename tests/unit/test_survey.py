"""What is read of cores and network cards, from a tree made for the test and from this machine."""

from __future__ import annotations

import json
import os
from pathlib import Path

from pytest_nfv.hosts.survey import Survey, survey
from tests.unit.cpu_tree import CPU, make_tree, write


def stat(*cores: str) -> str:
    return "\n".join(["cpu 0 0 0 0 0 0 0 0 0 0", *(f"cpu{n} {ticks}" for n, ticks in enumerate(cores)), "intr 1"])


def test_a_core_is_known_by_what_is_set_on_it(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "root")
    (tree / CPU / "cpu2/node1").mkdir()
    write(
        tree,
        {
            f"{CPU}/isolated": "2-3",
            f"{CPU}/nohz_full": "(null)",
            f"{CPU}/cpu2/cpuidle/state2/disable": "1",
            "proc/stat": stat("1 0 1 8 0 0 0 0", "0 0 0 9 0 0 0 1", "0 0 0 6 0 0 0 2"),
            "sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never",
        },
    )
    found = survey([2, 0], root=tree)
    assert [core.core for core in found.cores] == [2, 0]
    two, zero = found.cores
    assert (two.node, two.socket, two.siblings, two.driver, two.governor) == (
        1,
        1,
        (3,),
        "acpi-cpufreq",
        "schedutil",
    )
    assert (two.min_khz, two.max_khz) == (1_200_000, 2_400_000)
    assert two.c_states == {"POLL": 0, "C1": 2}
    assert two.irqs == (24, 30)
    assert (two.isolated, two.tickless, zero.isolated) == (True, False, False)
    assert (two.steal, zero.steal, zero.busy) == (0.25, 0.0, 0.0)
    assert found.huge_page_use == "madvise"


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    (core,) = survey([5], root=tmp_path).cores
    assert (core.node, core.governor, core.siblings, core.c_states, core.irqs) == (None, None, (), {}, ())


def test_a_card_is_known_by_its_slot(tmp_path: Path) -> None:
    slot = tmp_path / "sys/devices/pci0000:3a/0000:3b:00.1"
    write(tmp_path, {"sys/devices/pci0000:3a/0000:3b:00.1/numa_node": "1", "sys/class/net/none7/speed": "10000"})
    for name in ("rx-0", "rx-1", "tx-0"):
        (tmp_path / "sys/class/net/none7/queues" / name).mkdir(parents=True)
    (tmp_path / "sys/class/net/none7/device").symlink_to(slot)
    (nic,) = survey([], ["none7"], tmp_path).nics
    assert (nic.interface, nic.pci, nic.node, nic.speed_mbits) == ("none7", "0000:3b:00.1", 1, 10_000)
    assert (nic.rx_queues, nic.tx_queues, nic.driver, nic.settings) == (2, 1, None, {})
    write(tmp_path, {"sys/devices/pci0000:3a/0000:3b:00.1/numa_node": "-1", "sys/class/net/none7/speed": "-1"})
    (nic,) = survey([], ["none7"], tmp_path).nics
    assert (nic.node, nic.speed_mbits) == (None, None)


def test_cards_that_no_driver_of_the_kernels_has_are_known_apart_by_their_slots(tmp_path: Path) -> None:
    slots = ["0000:3b:00.0", "0000:d8:00.0"]
    driver = tmp_path / "sys/bus/pci/drivers/vfio-pci"
    driver.mkdir(parents=True)
    for node, slot in enumerate(slots):
        write(tmp_path, {f"sys/bus/pci/devices/{slot}/numa_node": str(node)})
    (tmp_path / f"sys/bus/pci/devices/{slots[0]}/driver").symlink_to(driver)
    found = survey([], [*slots, "none7"], tmp_path)
    assert [(nic.interface, nic.pci, nic.node, nic.driver) for nic in found.nics] == [
        ("0000:3b:00.0", "0000:3b:00.0", 0, "vfio-pci"),
        ("0000:d8:00.0", "0000:d8:00.0", 1, None),
        ("none7", None, None, None),
    ]
    assert found.nics[0].settings == {}
    assert Survey.of(json.loads(json.dumps(found.to_json()))) == found


def test_this_machine_and_the_way_through_json(tmp_path: Path) -> None:
    cores = sorted(os.sched_getaffinity(0))
    here = survey(cores, ["lo"])
    assert [core.core for core in here.cores] == cores
    assert all(0 <= core.busy <= 1 and 0 <= core.steal < 1 for core in here.cores)
    assert "tso" in here.nics[0].settings
    assert Survey.of(json.loads(json.dumps(here.to_json()))) == here
