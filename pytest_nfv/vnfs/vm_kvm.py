"""Whether KVM runs guests here: told by one of a few instructions, as a device that opens need not be able to.

Its processor starts at the reset vector, as every x86 processor does, in a read-only memory of ours: no BIOS, no
kernel. It goes to 64-bit mode with paging, counts a while, and tells QEMU to exit with a status that nothing else
has. Real mode alone says little: on a machine without hardware for guests, KVM ran it, and hung in 64-bit mode.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts.protocol import Host
from pytest_nfv.vnfs.vm_argv import COMMAND, processor
from pytest_nfv.vnfs.vm_settings import Accelerator

DEVICE = Path("/dev/kvm")
DEADLINE_S = 5.0
REMEDY = "use a machine whose processors, or hypervisor, let KVM run guests; TCG needs no KVM"
_ROM_OCTETS = 65_536  # seen below 4 GiB, and below 1 MiB, at 0xF0000
_RESET_VECTOR = 0xFFF0
_EXIT_PORT = 0xF4
_SAID = 0x2A
_STATUS = _SAID << 1 | 1  # what the device isa-debug-exit makes of it
_RESET = bytes((0xEA, 0x00, 0x00, 0x00, 0xF0))  # ljmp 0xf000:0
_REAL_MODE = bytes(
    (
        *(0x31, 0xC0),  # xor ax, ax
        *(0x8E, 0xD8),  # mov ds, ax
        # Page tables: the first 2 MiB where they are.
        *(0x66, 0xC7, 0x06, 0x00, 0x10, 0x03, 0x20, 0x00, 0x00),  # mov dword [0x1000], 0x2003
        *(0x66, 0xC7, 0x06, 0x00, 0x20, 0x03, 0x30, 0x00, 0x00),  # mov dword [0x2000], 0x3003
        *(0x66, 0xC7, 0x06, 0x00, 0x30, 0x83, 0x00, 0x00, 0x00),  # mov dword [0x3000], 0x83
        *(0x2E, 0x66, 0x0F, 0x01, 0x16, 0x58, 0x00),  # lgdt cs:[0x58]
        *(0x0F, 0x20, 0xE0, 0x0C, 0x20, 0x0F, 0x22, 0xE0),  # or cr4, PAE
        *(0x66, 0xB8, 0x00, 0x10, 0x00, 0x00, 0x0F, 0x22, 0xD8),  # mov cr3, 0x1000
        *(0x66, 0xB9, 0x80, 0x00, 0x00, 0xC0, 0x0F, 0x32, 0x80, 0xCC, 0x01, 0x0F, 0x30),  # or EFER, LME
        *(0x0F, 0x20, 0xC0, 0x66, 0x0D, 0x01, 0x00, 0x00, 0x80, 0x0F, 0x22, 0xC0),  # or cr0, PG and PE
        *(0x66, 0xEA, 0x70, 0x00, 0x0F, 0x00, 0x08, 0x00),  # ljmp 8:0xf0070
    )
)
_SEGMENTS = bytes(
    (
        *(0x0F, 0x00, 0x60, 0x00, 0x0F, 0x00, 0x00, 0x00),  # at 0x58: the table's last octet, and where it is
        *bytes(8),
        *(0xFF, 0xFF, 0x00, 0x00, 0x00, 0x9A, 0xAF, 0x00),  # 64-bit code
    )
)
_LONG_MODE = bytes(
    (
        *(0xB9, 0x00, 0x00, 0x10, 0x00),  # mov ecx, 1 << 20
        *(0xFF, 0xC9),  # dec ecx
        *(0x75, 0xFC),  # jnz, to the one before
        *(0xB0, _SAID),  # mov al, _SAID
        *(0xE6, _EXIT_PORT),  # out _EXIT_PORT, al
        0xF4,  # hlt
    )
)


def rom() -> bytes:
    """Return the guest's read-only memory."""
    code = _REAL_MODE + _SEGMENTS + _LONG_MODE
    return code.ljust(_RESET_VECTOR, b"\0") + _RESET.ljust(_ROM_OCTETS - _RESET_VECTOR, b"\0")


def runs_guests(host: Host, accelerator: Accelerator, directory: Path) -> str:
    """Run the tiny guest; return why it does not run, empty where it does.

    Args:
        host: where QEMU runs.
        accelerator: what is to run it, with the processor that guests are given.
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
    lines = done.stderr.strip().splitlines() or ["it says nothing"]
    said = next((line for line in lines if "error" in line), lines[-1])
    how = f"signal {-done.status}" if done.status < 0 else f"exit status {done.status}"
    return f"it ended by {how}: {said}"


def _argv(accelerator: Accelerator, path: Path) -> list[str]:
    return [
        COMMAND,
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-machine", "pc", "-m", "16M", *processor(accelerator), "-bios", str(path)),
        *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=1"),
    ]


def kvm(host: Host, directory: Path, device: Path = DEVICE) -> str:
    """Return why KVM runs no guests here, empty where it does; found out once, then known by a file.

    Args:
        host: where QEMU runs.
        directory: of that file: the run's own, so that the answer is the run's.
        device: KVM's.
    """
    known = directory / "kvm"
    if known.is_file():
        return known.read_text(encoding="utf-8")
    why = _shut(device)
    if not why:
        why = runs_guests(host, "kvm", directory)
        why = why and f"{device} opens, but a guest of a few instructions does not run: {why}"
    known.write_text(why, encoding="utf-8")
    return why


def _shut(device: Path) -> str:
    """Return why a device does not open, empty where it does: a container may refuse it to root, too."""
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except FileNotFoundError:
        return f"there is no {device}"
    except PermissionError as error:
        return f"{device} may not be opened by this user (group kvm): {error.strerror}"
    except OSError as error:
        return f"{device} does not open: {error.strerror}"
    return ""
