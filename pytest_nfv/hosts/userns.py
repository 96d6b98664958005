"""Network namespaces without root: inside a user namespace, where the kernel allows one.

As seen on Debian 12 and Ubuntu 24.04: Debian's kernel has `kernel.unprivileged_userns_clone`, Ubuntu's
`kernel.apparmor_restrict_unprivileged_userns`, which lets the user namespace come into being without any right in
it; every kernel has `user.max_user_namespaces`.
"""

from __future__ import annotations

import os
from pathlib import Path

from pytest_nfv.errors import CapabilityMissing
from pytest_nfv.hosts import kernel

CAPABILITY = "netns"
_CAP_NET_ADMIN, _CAP_SYS_ADMIN = 12, 21

# Setting, the values under which it forbids, and the value that allows.
_BARRIERS = (
    ("user.max_user_namespaces", "0", "15000"),
    ("kernel.unprivileged_userns_clone", "0", "1"),
    ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
)


def privileged(status: str | None = None) -> bool:
    """Whether this process may make network namespaces without a user namespace of its own.

    Args:
        status: text of /proc/self/status; read where not given.
    """
    text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace") if status is None else status
    for line in text.splitlines():
        if line.startswith("CapEff:"):
            effective = int(line.split()[1], 16)
            return all(effective >> bit & 1 for bit in (_CAP_NET_ADMIN, _CAP_SYS_ADMIN))
    return False


def enter() -> None:
    """Move this process, which must have one thread only, into user, mount and network namespaces of its own.

    Raises:
        CapabilityMissing: the machine does not allow it; says which setting forbids it.
    """
    uid, gid = os.geteuid(), os.getegid()
    stage = "a user namespace"
    try:
        kernel.unshare(kernel.CLONE_NEWUSER)
        stage = "its user and group mapping"
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
        stage = "a network namespace in a user namespace"
        kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET)
    except OSError as error:
        raise refused(stage, error.strerror or str(error), Path("/proc/sys")) from error


def refused(stage: str, why: str, sysctls: Path) -> CapabilityMissing:
    """Return the error for a refusal, with the setting that explains it and the command that lifts it.

    Args:
        stage: what was being made.
        why: the kernel's answer.
        sysctls: where settings are read, /proc/sys.
    """
    for name, forbids, allows in _BARRIERS:
        try:
            value = (sysctls / name.replace(".", "/")).read_text(encoding="ascii").strip()
        except OSError:
            continue  # this kernel has no such setting
        if value == forbids:
            return CapabilityMissing(
                CAPABILITY,
                f"{stage} is refused ({why}), as {name} is {value}",
                f"run `sudo sysctl -w {name}={allows}`, or run as root",
            )
    return CapabilityMissing(
        CAPABILITY,
        f"{stage} is refused ({why}), and no kernel setting explains it",
        "run as root; in a container, give it CAP_SYS_ADMIN and CAP_NET_ADMIN and a seccomp profile that allows "
        "unshare (docker run --privileged)",
    )
