"""Which class opens which kind of port; a row is imported when it is first used."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from importlib import import_module

from pytest_nfv.errors import ConfigurationError, NfvError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.port import Port

KINDS = {
    "af_packet": "pytest_nfv.rings.af_packet:AfPacketPort",
    "af_xdp": "pytest_nfv.rings.af_xdp:AfXdpPort",
    "loopback": "pytest_nfv.rings.loopback:LoopbackPort",
    "memif": "pytest_nfv.rings.memif:MemifPort",
    "raw_socket": "pytest_nfv.rings.socket_kinds:RawSockets",
    "udp_socket": "pytest_nfv.rings.socket_kinds:UdpSockets",
    "vhost_user": "pytest_nfv.rings.vhost_user:VhostUserPort",
    "vhost_user_backend": "pytest_nfv.rings.vhost_user_backend:VhostUserBackendPort",
}
LEAST_OCTETS = {"udp_socket": 18}
"""What a template has at least, where that is not a frame's 60 octets (no FCS): a 64 B frame's UDP payload."""

STAMPED_BY_KERNEL = frozenset({"af_packet"})
"""Kinds whose frames are stamped as they arrive; of the others, the look that finds a frame is its arrival."""


GRACED = frozenset({"af_packet", "af_xdp"})
"""Kinds whose sockets the kernel closes after a grace period, some 15 ms each; those of one moment share it."""


def least_octets(kinds: Iterable[str]) -> int:
    """Return how long a template must be at least for ports of these kinds."""
    return max((LEAST_OCTETS.get(kind, 60) for kind in kinds), default=60)


def open_ports(specs: Sequence[PortSpec]) -> tuple[Port, ...]:
    """Open all ports, in the order of `specs`; where one fails, none stays open.

    Raises:
        ConfigurationError: an unknown kind, or a spec that its kind cannot read.
        GeneratorError: a port cannot be opened.
    """
    for spec in specs:
        if spec.kind not in KINDS:
            raise ConfigurationError(f"port kind {spec.kind!r}: accepted: {', '.join(sorted(KINDS))}")
    opened: dict[int, Port] = {}
    try:
        for kind in dict.fromkeys(spec.kind for spec in specs):
            module, _, name = KINDS[kind].partition(":")
            indices = [index for index, spec in enumerate(specs) if spec.kind == kind]
            ports = getattr(import_module(module), name).open_all([specs[index] for index in indices])
            opened.update(zip(indices, ports, strict=True))
    except NfvError:
        for port in opened.values():
            port.close()
        raise
    return tuple(opened[index] for index in range(len(specs)))


def close_ports(ports: Sequence[Port], kinds: Iterable[str]) -> None:
    """Close ports of these kinds: all at once where the kernel makes each wait."""
    if not GRACED.issuperset(kinds):
        for port in ports:
            port.close()
        return
    trouble: list[Exception] = []

    def close(port: Port) -> None:
        try:
            port.close()
        except Exception as error:  # raised below, by the thread that asked
            trouble.append(error)

    closing = [threading.Thread(target=close, args=(port,)) for port in ports]
    for one in closing:
        one.start()
    for one in closing:
        one.join()
    if trouble:
        raise trouble[0]
