"""From a topology's VNFs to ports, segments and addresses: what is joined to what. Pure.

A switch's ports are the generator's, then two for each instance of a VNF: its vNIC 0, which faces port 0 of the
lane, and its vNIC 1. A VNF of several pairs of vNICs is as many instances.

    generator port 0 -- segment -- vNIC 0 [vnf0] vNIC 1 -- segment -- vNIC 0 [vnf1] vNIC 1 -- segment -- port 1
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from pytest_nfv.model.nf import Function, L3Fwd, Own
from pytest_nfv.model.nf_oracle import Sent, process
from pytest_nfv.model.topology import Topology
from pytest_nfv.model.trial import Direction
from pytest_nfv.model.vnf import VNF

_VNIC_MAC = "02:6e:10"


@dataclass(frozen=True, slots=True)
class Instance:
    """One network function between two vNICs.

    Attributes:
        number: among all instances of the topology; name: `vnf0`, or `vnf0.1` of several in one VNF.
        vnf: what it belongs to; vnf_number: which of the topology's VNFs that is.
        lane, place: of which chain, and where in it; pair: which of the VNF's pairs of vNICs.
    """

    number: int
    name: str
    vnf: VNF
    vnf_number: int
    lane: int
    place: int
    pair: int

    @property
    def vnf_name(self) -> str:
        """What the VNF is called that it is a part of."""
        return f"vnf{self.vnf_number}"

    @property
    def addresses(self) -> tuple[str, str]:
        """MAC addresses of its vNICs."""
        high, low = divmod(self.number, 256)
        first, second = (f"{_VNIC_MAC}:{high:02x}:{low:02x}:{nic:02x}" for nic in (0, 1))
        return first, second


@dataclass(frozen=True, slots=True)
class Ends:
    """Which stations the frames of one stream are from and to.

    Attributes:
        src, dst: MAC addresses.
        swapped: they come back through VNFs, so that source and destination change places on layer 3 as well.
    """

    src: str
    dst: str
    swapped: bool = False


class Chains:
    """The VNFs of a topology, instance by instance.

    Of a topology that goes on on another host, each has its part, whose numbers go on as well.
    """

    def __init__(self, topology: Topology, first_instance: int = 0, first_vnf: int = 0) -> None:
        self._generator_ports = topology.generator_ports
        self._first = first_instance
        self._lanes: list[list[list[Instance]]] = []
        number, vnf_number = first_instance, first_vnf
        for lane, vnfs in enumerate(topology.lanes):
            places: list[list[Instance]] = []
            for place, vnf in enumerate(vnfs):
                pairs = vnf.vnics // 2
                names = (
                    [f"vnf{vnf_number}"] if pairs == 1 else [f"vnf{vnf_number}.{pair}" for pair in range(pairs)]
                )
                places.append(
                    [
                        Instance(number + pair, name, vnf, vnf_number, lane, place, pair)
                        for pair, name in enumerate(names)
                    ]
                )
                number, vnf_number = number + pairs, vnf_number + 1
            self._lanes.append(places)

    @cached_property
    def instances(self) -> tuple[Instance, ...]:
        """All, in the order of their numbers."""
        return tuple(one for places in self._lanes for place in places for one in place)

    def port(self, instance: Instance, nic: int) -> int:
        """Return the switch's port that faces a vNIC."""
        return self._generator_ports + 2 * (instance.number - self._first) + nic

    def segments(self) -> tuple[tuple[int, ...], ...]:
        """Return which ports reach one another: one segment before each VNF, and one behind the last."""
        made = []
        for lane, places in enumerate(self._lanes):
            before: list[int] = [2 * lane]
            for place in places:
                made.append((*before, *(self.port(one, 0) for one in place)))
                before = [self.port(one, 1) for one in place]
            made.append((*before, 2 * lane + 1))
        return tuple(made) if self.instances else ()

    def function(self, instance: Instance, generator: Sequence[str]) -> Function:
        """Return what an instance does, between the stations that it has; `generator`: each port's address."""
        function = instance.vnf.function
        if not isinstance(function, L3Fwd):
            return function
        places = self._lanes[instance.lane]
        behind = self._station(places[instance.place + 1 :], 0, instance.pair, generator[2 * instance.lane + 1])
        before = self._station(places[: instance.place][::-1], 1, instance.pair, generator[2 * instance.lane])
        return function.at(instance.addresses, (before, behind))

    def around(self, first: int, count: int, generator: Sequence[str]) -> tuple[str, str]:
        """Return the stations before and behind `count` VNFs from `first` on, of a topology with one lane."""
        (places,) = self._lanes
        before = self._station(places[:first][::-1], 1, 0, generator[0])
        return before, self._station(places[first + count :], 0, 0, generator[1])

    @staticmethod
    def _station(places: Sequence[Sequence[Instance]], nic: int, pair: int, otherwise: str) -> str:
        """Return the address of the next that routes, in the order given; transparent ones are passed through."""
        for place in places:
            if place[0].vnf.routes:
                return place[pair % len(place)].addresses[nic]
        return otherwise

    def way(self, direction: Direction, pair: int = 0) -> list[tuple[Instance, int]]:
        """Return the instances that frames of a direction cross, with the vNIC that they come in by."""
        forward = direction.tx % 2 == 0
        places = self._lanes[direction.tx // 2] if self._lanes else []
        ordered = places if forward else places[::-1]
        return [(place[pair % len(place)], 0 if forward else 1) for place in ordered]

    def pairs(self, direction: Direction) -> int:
        """Return over how many pairs of vNICs the frames of a direction are split."""
        places = self._lanes[direction.tx // 2] if self._lanes else []
        return max((len(place) for place in places), default=1)

    def ends(self, direction: Direction, generator: Sequence[str]) -> tuple[Ends, ...]:
        """Return the addresses of each stream of a direction, a stream a pair of vNICs."""
        made = []
        for pair in range(self.pairs(direction)):
            routers = [(one, nic) for one, nic in self.way(direction, pair) if one.vnf.routes]
            to = routers[0][0].addresses[routers[0][1]] if routers else generator[direction.rx]
            made.append(Ends(generator[direction.tx], to, bool(self._lanes) and direction.tx % 2 == 1))
        return tuple(made)

    def arriving(self, direction: Direction, frame: bytes, generator: Sequence[str]) -> bytes | None:
        """Return how a frame comes out of all VNFs of its direction; None where one drops it, or sends it back."""
        instances = {
            one.addresses[nic]: pair
            for pair in range(self.pairs(direction))
            for one, nic in self.way(direction, pair)
        }
        pair = instances.get(frame[:6].hex(":"), 0)
        arrived = frame
        for instance, nic in self.way(direction, pair):
            function = self.function(instance, generator)
            if isinstance(function, Own):
                continue  # its author's: frames are taken to come out as they went in (docs/vnfs.md)
            out = process(function, nic, arrived)
            if not isinstance(out, Sent) or out.nic == nic:
                return None
            arrived = out.frame
        return arrived
