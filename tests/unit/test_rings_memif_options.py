"""What a memif port may be told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import PortSpec
from pytest_nfv.rings.memif import MemifPort
from pytest_nfv.rings.memif_options import MemifOptions

ADDRESS = "02:00:00:00:00:01"


def spec(**parameters: str) -> PortSpec:
    return PortSpec("memif", ADDRESS, parameters={"socket": "/run/m.sock"} | parameters)


def test_the_defaults() -> None:
    options = MemifOptions.of(spec())
    assert (options.role, options.id, options.queues) == ("client", 0, 1)
    assert options.rx_slots == options.tx_slots == 2048
    assert options.bound == "/run/m.sock"


def test_an_abstract_name_begins_with_a_zero() -> None:
    assert MemifOptions.of(spec(socket="@switch")).bound == "\0switch"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"socket": ""}, "no socket; accepted: socket=PATH or @NAME and id, role"),
        ({"colour": "red"}, "unknown parameter 'colour'; accepted"),
        ({"socket": "/" + 107 * "x"}, "accepted: up to 107 octets"),
        ({"role": "slave"}, "role 'slave': accepted: client, server"),
        ({"pages": "big"}, "pages 'big': accepted: auto, huge, plain"),
        ({"id": "-1"}, "id '-1': accepted: a whole number from 0 to 4294967295"),
        ({"id": "4294967296"}, "id '4294967296': accepted"),
        ({"queues": "0"}, "queues '0': accepted: a whole number from 1 to 256"),
        ({"rx_slots": "1000"}, "rx_slots 1000: accepted: a power of two"),
        ({"tx_slots": "65536"}, "tx_slots '65536': accepted: a whole number from 64 to 32768"),
        ({"wait_s": "soon"}, "wait_s 'soon': accepted: a whole number from 1 to 600"),
        ({"secret": 25 * "x"}, "secret of 25 letters: accepted: up to 24, ASCII"),
    ],
)
def test_what_cannot_be_is_named_with_what_is_accepted(given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"memif port {ADDRESS}: .*{message}"):
        MemifOptions.of(spec(**given))


@pytest.mark.parametrize("mtu", [67, 9601])
def test_an_mtu_has_its_limits(mtu: int) -> None:
    with pytest.raises(ConfigurationError, match=f"mtu {mtu}: accepted: 68 to 9600"):
        MemifOptions.of(replace(spec(), mtu=mtu))


def test_two_ports_cannot_be_the_same_end() -> None:
    with pytest.raises(ConfigurationError, match="id 0: two ports want to be its client; accepted: another id"):
        MemifPort.open_all([spec(), spec()])
