"""A sender and a receiver on kernel sockets, each in its namespace and on its core, at a switch between them."""

from __future__ import annotations

from typing import cast

from pytest_nfv.deployment.plan import Placement
from pytest_nfv.errors import ConfigurationError
from pytest_nfv.generators.builtin import Builtin
from pytest_nfv.generators.pair import Pair
from pytest_nfv.generators.templates import DESTINATION_PORT, SOURCE_PORT
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.model.topology import SocketPair
from pytest_nfv.vswitches.protocol import ApplicationSwitch, Attachment, VSwitchDriver


def attach(switch: VSwitchDriver, topology: SocketPair, placement: Placement) -> tuple[tuple[PortSpec, ...], Pair]:
    """Start `switch` for two applications; return their ports, and the pair of generators to open them.

    Raises:
        ConfigurationError: the switch joins no applications.
        DeploymentError: it did not come up.
    """
    if not hasattr(switch, "start_applications"):
        raise ConfigurationError(f"{topology}: {switch.name} joins no applications; accepted: linux-bridge")
    mtu = placement.testbed.mtu
    started = cast(ApplicationSwitch, switch).start_applications(2, mtu, addressed=topology.protocol == "udp")
    sender, receiver = started
    ports = tuple(
        PortSpec(f"{topology.protocol}_socket", own.address, mtu, _parameters(topology, own, peer))
        for own, peer in ((sender, receiver), (receiver, sender))
    )
    pair = Pair(
        Builtin(sender.host, placement.generator_core),
        Builtin(receiver.host, placement.device_cores[0]),
        sends_on=(0,),
        receives_on=(1,),
    )
    return ports, pair


def _parameters(topology: SocketPair, own: Attachment, peer: Attachment) -> dict[str, str]:
    if topology.protocol == "raw":
        return {"interface": own.interface, "call": topology.call}
    return {
        "ip": own.ip,
        "peer": peer.ip,
        "source_port": str(SOURCE_PORT),
        "destination_port": str(DESTINATION_PORT),
        "call": topology.call,
    }
