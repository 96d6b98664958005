"""What a virtual machine may be told, and the command line that comes of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.vnfs.vm_argv import Places, argv
from pytest_nfv.vnfs.vm_settings import Machine, Tap, VhostUser

A, B = "02:6e:00:00:03:00", "02:6e:00:00:03:01"
PLACES = Places(Path("/k"), Path("/i"), Path("/c.sock"), Path("/q.sock"))


def values(words: list[str], option: str) -> list[str]:
    return [words[at + 1] for at, word in enumerate(words) if word == option]


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Tap("a b", A), "tap 'a b': accepted"),
        (lambda: Tap("t0", "02:6E:00:00:03:00"), "vNIC address '02:6E:00:00:03:00': accepted"),
        (lambda: Tap("t0", "01:00:00:00:00:00"), "accepted: a unicast MAC address"),
        (lambda: Tap("t0", A, queues=0), "vNIC queues 0: accepted: 1 to 16"),
        (lambda: VhostUser("", A), "vhost-user socket '': accepted"),
        (lambda: VhostUser("/a,b", A), "no comma"),
        (lambda: VhostUser("/" + "a" * 107, A), "accepted: a path of 1 to 107 octets"),
        (lambda: VhostUser("/a", A, slots=100), "vNIC slots 100: accepted: 256, 512, 1024"),
        (lambda: VhostUser("/a", A, role="both"), "vhost-user role 'both': accepted: client, server"),  # type: ignore[arg-type]  # on purpose
        (lambda: Machine((), vcpus=0), "vcpus 0: accepted: 1 to 64"),
        (lambda: Machine((), memory_mib=32), "memory_mib 32: accepted: 64 to"),
        (lambda: Machine((), mtu=20), "mtu 20: accepted: 68 to 9600"),
        (lambda: Machine((), accelerator="xen"), "accelerator 'xen': accepted: auto, kvm, tcg"),  # type: ignore[arg-type]  # on purpose
        (lambda: Machine((), engine="xdp"), "engine 'xdp': accepted: kernel, testpmd"),  # type: ignore[arg-type]  # on purpose
        (lambda: Machine((), engine="testpmd", memory_mib=256), "memory_mib 256 with testpmd: accepted: from 512"),
        (lambda: Machine((Tap("t0", A, 2),), engine="testpmd"), "with several queues and testpmd: accepted: one"),
        (lambda: Machine((Tap("t0", A), Tap("t1", A))), f"vNIC address {A} is there twice"),
        (lambda: Machine(tuple(Tap(f"t{n}", f"02:00:00:00:00:{n:02x}") for n in range(17))), "17 vNICs"),
    ],
)
def test_what_cannot_be_says_what_can(make: Callable[[], object], says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make()
    assert says in str(caught.value)


def test_a_machine_is_the_papers_unless_said() -> None:
    words = argv(Machine(()), "kvm", PLACES)
    assert values(words, "-smp") == ["1"]
    assert values(words, "-m") == ["1024M"]
    assert values(words, "-accel") == ["kvm"]
    assert values(words, "-cpu") == ["host"]


def test_under_tcg_no_vnic_has_message_signalled_interrupts() -> None:
    machine = Machine((VhostUser("/a.sock", A), Tap("t1", B, queues=2)))
    devices = [one for one in values(argv(machine, "tcg", PLACES), "-device") if "virtio-net" in one]
    assert len(devices) == 2
    assert all(one.endswith(",vectors=0") for one in devices)
    devices = [one for one in values(argv(machine, "kvm", PLACES), "-device") if "virtio-net" in one]
    assert "vectors" not in devices[0]
    assert devices[1].endswith(",mq=on,vectors=6")


def test_vhost_user_has_shared_memory_and_the_role_that_was_said() -> None:
    machine = Machine((VhostUser("/a.sock", A, queues=2), VhostUser("/b.sock", B, "server", slots=256)))
    words = argv(machine, "tcg", PLACES)
    assert "memory-backend-memfd,id=memory,size=1024M,share=on" in values(words, "-object")
    assert "pc,memory-backend=memory" in values(words, "-machine")
    chardevs = values(words, "-chardev")
    assert "socket,id=vhost0,path=/a.sock" in chardevs
    assert "socket,id=vhost1,path=/b.sock,server=on" in chardevs
    assert values(words, "-netdev") == [
        "vhost-user,id=net0,chardev=vhost0,queues=2",
        "vhost-user,id=net1,chardev=vhost1",
    ]
    second = values(words, "-device")[-1].split(",")
    assert f"mac={B}" in second
    assert "rx_queue_size=256" in second
    assert {"csum=off", "gso=off", "guest_tso4=off", "host_tso6=off"} <= set(second)
