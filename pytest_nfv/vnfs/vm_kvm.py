"""Whether KVM runs guests here: told by one of a few instructions, as a device that opens need not be able to.

Its processor starts at the reset vector, as every x86 processor does, in a read-only memory of ours: no BIOS, no
kernel. It counts a while, then tells QEMU to exit with a status that nothing else has.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs.vm_argv import COMMAND
from pytest_nfv.vnfs.vm_settings import Accelerator

DEVICE = Path("/dev/kvm")
DEADLINE_S = 5.0
_ROM_OCTETS = 65_536
_RESET_VECTOR = 0xFFF0  # of the last 64 KiB below 4 GiB
_EXIT_PORT = 0xF4
_SAID = 0x2A
_STATUS = _SAID << 1 | 1  # what the device isa-debug-exit makes of it
_PROGRAM = bytes(
    (
        *(0xB9, 0xFF, 0xFF),  # mov cx, 0xffff
        *(0xE2, 0xFE),  # loop itself
        *(0xB0, _SAID),  # mov al, _SAID
        *(0xE6, _EXIT_PORT),  # out _EXIT_PORT, al
        0xF4,  # hlt
    )
)


@dataclass(frozen=True, slots=True)
class Choice:
    """How a guest's instructions are run.

    Attributes:
        why: where it is not KVM, why not; empty otherwise.
    """

    accelerator: Accelerator
    why: str = ""


def rom() -> bytes:
    """Return the guest's read-only memory."""
    return bytes(_RESET_VECTOR) + _PROGRAM + bytes(_ROM_OCTETS - _RESET_VECTOR - len(_PROGRAM))


def runs_guests(host: Host, accelerator: Accelerator, directory: Path) -> str:
    """Run the tiny guest; return why it does not run, empty where it does.

    Args:
        directory: for a file of its own, which is removed again.
    """
    path = directory / f"probe-{accelerator}.rom"
    try:
        path.write_bytes(rom())
        done = host.run(_argv(accelerator, path), timeout_s=DEADLINE_S, check=False)
    except CommandError as error:
        late = error.status is None and "not done after" in str(error)
        return f"it does not end within {DEADLINE_S:g} s" if late else str(error)
    except OSError as error:
        raise DeploymentError(f"cannot write {path}: {error.strerror}") from error
    finally:
        path.unlink(missing_ok=True)
    if done.status == _STATUS:
        return ""
    last = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
    return f"it ended with exit status {done.status}: {last}"


def _argv(accelerator: Accelerator, path: Path) -> list[str]:
    return [
        COMMAND,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "pc", "-m", "16M", "-accel", accelerator, "-bios", str(path)),
        *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"),
    ]


def kvm(host: Host, directory: Path, device: Path = DEVICE) -> str:
    """Return why KVM runs no guests here, empty where it does; found out once, then known by a file in `directory`.

    Args:
        directory: the run's own, so that the answer is the run's.
        device: KVM's.
    """
    known = directory / "kvm"
    if known.is_file():
        return known.read_text(encoding="utf-8")
    if not device.exists():
        why = f"there is no {device}"
    elif not os.access(device, os.R_OK | os.W_OK):
        why = f"{device} may not be opened by this user (group kvm)"
    else:
        why = runs_guests(host, "kvm", directory)
        why = why and f"{device} opens, but a guest of a few instructions does not run: {why}"
    known.write_text(why, encoding="utf-8")
    return why
