"""QEMU's command line for one virtual machine."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.vnfs.vm_settings import Accelerator, Engine, Machine, Nic, Tap, VhostUser

COMMAND = "qemu-system-x86_64"
CHANNEL = "nfv.control"

# A frame is a frame: none is merged, split, or left without its checksum for another to fill in.
_NO_OFFLOADS = (
    *(f"{side}_{feature}=off" for side in ("guest", "host") for feature in ("tso4", "tso6", "ecn", "ufo")),
    *("csum=off", "guest_csum=off", "gso=off", "guest_announce=off"),
)
# A link without a state is up at once; a guest's kernel takes a second over one that comes up.
_ALWAYS_UP = "status=off"


@dataclass(frozen=True, slots=True)
class Places:
    """Files and sockets of one virtual machine.

    Attributes:
        kernel, initramfs: what it boots.
        channel: the socket of its control channel, which we serve.
        qmp: the socket of its monitor, which QEMU serves.
    """

    kernel: Path
    initramfs: Path
    channel: Path
    qmp: Path


def argv(machine: Machine, accelerator: Accelerator, places: Places) -> list[str]:
    """Return the command line.

    Memory is a shared memfd, which a vhost-user back end maps. The guest's console is QEMU's standard output; it
    ends QEMU when the guest would restart, so a panic is an end.
    """
    memory = f"memory-backend-memfd,id=memory,size={machine.memory_mib}M,share=on"
    return [
        COMMAND,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-name", "nfv,debug-threads=on"),
        *("-machine", "pc,memory-backend=memory", "-object", memory, "-m", f"{machine.memory_mib}M"),
        *("-smp", str(machine.vcpus), *processor(accelerator, machine.engine)),
        *("-kernel", str(places.kernel), "-initrd", str(places.initramfs), "-append", _kernel_words(accelerator)),
        *("-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console"),
        *("-device", "virtio-serial-pci,id=serial,vectors=0"),
        *("-chardev", f"socket,id=channel,path={places.channel}"),
        *("-device", f"virtserialport,bus=serial.0,chardev=channel,name={CHANNEL}"),
        *("-chardev", f"socket,id=monitor,path={places.qmp},server=on,wait=off"),
        *("-mon", "chardev=monitor,mode=control"),
        *(word for number, nic in enumerate(machine.nics) for word in _nic(number, nic, machine, accelerator)),
    ]


def processor(accelerator: Accelerator, engine: Engine = "kernel") -> Sequence[str]:
    """Return the words for the processor, and for what runs its instructions."""
    if accelerator == "kvm":
        return "-accel", "kvm", "-cpu", "host"
    # Debian's DPDK is built for SSE 4.2, which QEMU's own default has not.
    return "-accel", "tcg,thread=multi", *(("-cpu", "Nehalem") if engine == "testpmd" else ())


def _kernel_words(accelerator: Accelerator) -> str:
    # A panic restarts at once, which -no-reboot makes an end; what guards against other guests is of no use here.
    words = ["console=ttyS0", "panic=-1", "oops=panic", "loglevel=4", "mitigations=off", "ipv6.disable=1"]
    words += ["cryptomgr.notests", "lsm=", "audit=0"]
    if accelerator == "tcg":
        words += ["nokaslr", "no_timer_check", "tsc=reliable"]  # each saves start-up time
    return " ".join(words)


def _nic(number: int, nic: Nic, machine: Machine, accelerator: Accelerator) -> list[str]:
    words: list[str] = []
    queues = f",queues={nic.queues}" if nic.queues > 1 else ""
    device = ["virtio-net-pci", f"netdev=net{number}", f"mac={nic.address}", "romfile=", *_NO_OFFLOADS, _ALWAYS_UP]
    if isinstance(nic, VhostUser):
        serves = ",server=on" if nic.role == "server" else ""
        words += ["-chardev", f"socket,id=vhost{number},path={nic.socket}{serves}"]
        words += ["-netdev", f"vhost-user,id=net{number},chardev=vhost{number}{queues}"]
        device += [f"rx_queue_size={nic.slots}", f"tx_queue_size={nic.slots}"]
    else:
        words += ["-netdev", _tap(number, nic) + queues]
    if nic.queues > 1:
        device += ["mq=on"]
    # With vhost-user under TCG, QEMU 7.2 crashes once the guest takes message-signalled interrupts into use.
    if accelerator == "tcg":
        device += ["vectors=0"]
    elif nic.queues > 1:
        device += [f"vectors={2 * nic.queues + 2}"]
    return [*words, "-device", ",".join(device)]


def _tap(number: int, nic: Tap) -> str:
    return f"tap,id=net{number},ifname={nic.interface},script=no,downscript=no,vhost=off"
