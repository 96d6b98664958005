"""Kinds of ports by name."""

from __future__ import annotations

import pytest

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.loopback import LoopbackPort
from pytest_nfv.rings.table import open_ports


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
