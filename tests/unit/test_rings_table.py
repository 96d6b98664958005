"""Kinds of ports by name."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import cast

import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.port import Port
from pytest_nfv.rings.table import close_ports, open_ports


def spec(kind: str, **parameters: str) -> PortSpec:
    return PortSpec(kind, "02:00:00:00:00:01", parameters=parameters)


def test_an_unknown_kind_lists_the_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"port kind 'token_ring': accepted: af_packet, af_xdp, loopback"):
        open_ports([spec("loopback"), spec("token_ring")])


def test_loopback_ports_are_joined_in_order() -> None:
    ports = open_ports([spec("loopback"), spec("loopback")])
    assert all(isinstance(port, LoopbackPort) for port in ports)


def test_a_wire_has_two_ends() -> None:
    with pytest.raises(ConfigurationError, match="1 loopback ports: accepted: an even number"):
        open_ports([spec("loopback")])


def test_af_packet_needs_an_interface() -> None:
    with pytest.raises(ConfigurationError, match="needs the parameter `interface`"):
        open_ports([spec("af_packet")])


def test_a_missing_interface_or_permission_is_named() -> None:
    with pytest.raises(
        GeneratorError, match=r"interface 'nfv-none' cannot be opened: (no interface|Operation not)"
    ):
        open_ports([spec("af_packet", interface="nfv-none")])


class Closing:
    """A port that closes once all of its kind are about to, or is closed alone."""

    def __init__(self, together: threading.Barrier | None = None, error: str = "") -> None:
        self._together, self._error, self.closed, self.by = together, error, False, 0

    def close(self) -> None:
        if self._together is not None:
            self._together.wait(10)
        self.closed, self.by = True, threading.get_ident()
        if self._error:
            raise GeneratorError(self._error)


def close(ports: Sequence[Closing], *kinds: str) -> None:
    close_ports(cast(Sequence[Port], ports), kinds)


def test_kernel_sockets_close_at_once_and_others_in_turn() -> None:
    together = threading.Barrier(3)
    ports = [Closing(together) for _ in range(3)]
    close(ports, "af_packet", "af_xdp")
    assert all(port.closed for port in ports)
    ports = [Closing(), Closing()]
    close(ports, "af_packet", "memif")
    assert {port.by for port in ports} == {threading.get_ident()}
    close([], "af_packet")


def test_a_port_that_does_not_close_is_told_and_the_others_are_closed() -> None:
    ports = [Closing(), Closing(error="no"), Closing()]
    with pytest.raises(GeneratorError, match="no"):
        close(ports, "af_packet")
    assert all(port.closed for port in ports)
