"""Which of a guest's virtual processors serves which queue of which vNIC. Pure: text in, commands out.

All interrupts of a guest without message-signalled ones go to its first processor, and with them all that follows.
A thread of its own for each queue (threaded NAPI) can be elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence

from pytest_nfv.errors import DeploymentError
from pytest_nfv.model.routes import NICS

_SENDS = 0
"""The number of all threads that only tidy up behind what was sent; one that receives has one of its own."""


def listed(vnics: int) -> str:
    """Return what a shell reads to make the threads of `nic0`, `nic1`, ..., and to say each with its process."""
    made = "".join(f"echo 1 >/sys/class/net/nic{nic}/threaded || exit 1\n" for nic in range(vnics))
    return (
        made + "for comm in /proc/[0-9]*/comm; do\n"
        'read -r name <"$comm" && case $name in napi/nic*) echo "$name $comm" ;; esac\n'
        "done\ntrue\n"
    )


def pinned(said: str, queues: Sequence[int], vcpus: int) -> str:
    """Return what a shell reads to give pairs of vNICs, and a pair's queues, processors round robin.

    Args:
        said: what `listed` printed: `napi/nic0-8193 /proc/61/comm`.
        queues: of each vNIC.
        vcpus: of the guest.

    Raises:
        DeploymentError: there are not as many threads as queues.
    """
    found: list[list[tuple[int, int]]] = [[] for _ in queues]
    try:
        for line in said.splitlines():
            name, _, path = line.partition(" ")
            of, _, number = name.removeprefix("napi/nic").partition("-")
            found[int(of)].append((int(number), int(path.split("/")[2])))
    except (ValueError, IndexError) as error:
        raise DeploymentError(f"a guest's threads cannot be read: {error} in {said[:200]!r}") from error
    lines = []
    for nic, threads in enumerate(found):
        receiving = sorted(one for one in threads if one[0] != _SENDS)
        if len(receiving) != queues[nic]:
            raise DeploymentError(f"a guest's nic{nic} has {len(receiving)} receiving threads of {queues[nic]}")
        first = nic // NICS * queues[nic]
        places = [(process, first + queue) for queue, (_, process) in enumerate(receiving)]
        places += [(process, first) for number, process in threads if number == _SENDS]
        lines += [f"taskset -p {1 << place % vcpus:x} {process} || exit 1\n" for process, place in places]
    return "".join(lines)
