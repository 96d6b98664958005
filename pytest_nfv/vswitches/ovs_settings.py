"""What the OVS drivers are told by `VSwitch.settings`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.parameters import one_of, power_of_two, whole

RULES = ("5tuple", "normal", "port")
EMC = ("always", "off", "on")
ON_OFF = ("off", "on")
VHOST = ("client", "server")
AFFINITY = ("ovs", "port", "queue")
MEGAFLOWS_MIN, MEGAFLOWS_MAX = 1000, 10_000_000
QUEUES_MAX = 16
SLOTS_MIN, SLOTS_MAX = 64, 32_768

_INSERTED = {"on": "100", "off": "0", "always": "1"}  # one new flow in so many goes into the exact-match cache


@dataclass(frozen=True, slots=True)
class DatapathSettings:
    """What both datapaths take.

    Attributes:
        rules: `port`: what comes in at a port goes out of its pair's other one. `normal`: a learning switch.
            `5tuple`: as `port`, by rules that read the whole 5-tuple, so that each is a megaflow of its own.
        emc: the exact-match cache: `on` takes one new flow in 100 (OVS's default), `always` each, `off` none.
        smc: the signature-match cache, `on` or `off` (OVS's default).
        megaflows: most megaflows that are kept; 0 leaves OVS's own limit.
    """

    rules: str = "port"
    emc: str = "on"
    smc: str = "off"
    megaflows: int = 0

    KEYS: ClassVar[tuple[str, ...]] = ("rules", "emc", "smc", "megaflows")

    @classmethod
    def of(cls, switch: str, settings: Mapping[str, str]) -> DatapathSettings:
        """Read a driver's settings; `KEYS` are looked at, others are the driver's.

        Raises:
            ConfigurationError: a value; names what is accepted.
        """
        return cls(
            rules=one_of(switch, settings, "rules", RULES, "port"),
            emc=one_of(switch, settings, "emc", EMC, "on"),
            smc=one_of(switch, settings, "smc", ON_OFF, "off"),
            megaflows=whole(switch, settings, "megaflows", 0, MEGAFLOWS_MIN, MEGAFLOWS_MAX),
        )

    def config(self) -> dict[str, str]:
        """Return the keys of `Open_vSwitch.other_config` that say the same (ovs-vswitchd.conf.db(5))."""
        config = {"emc-insert-inv-prob": _INSERTED[self.emc], "smc-enable": str(self.smc == "on").lower()}
        if self.megaflows:
            config["flow-limit"] = str(self.megaflows)
        return config


@dataclass(frozen=True, slots=True)
class VhostSettings:
    """What the vhost-user ports of `ovs-dpdk` take.

    Attributes:
        vhost: `client`: OVS connects to sockets that the generator serves; `server`: OVS serves them.
        queues: queue pairs of a port.
        slots: entries of each of a port's rings; 0 leaves the generator's own choice.
        affinity: which of several polling threads takes a queue: `queue`: one after the other, over all queues of
            all ports. `port`: one a port, for all of its queues. `ovs`: OVS's own choice, by load.
    """

    vhost: str = "client"
    queues: int = 1
    slots: int = 0
    affinity: str = "queue"

    KEYS: ClassVar[tuple[str, ...]] = ("vhost", "queues", "slots", "affinity")

    @classmethod
    def of(cls, switch: str, settings: Mapping[str, str]) -> VhostSettings:
        """Read a driver's settings.

        Raises:
            ConfigurationError: a value; names what is accepted.
        """
        return cls(
            vhost=one_of(switch, settings, "vhost", VHOST, "client"),
            queues=whole(switch, settings, "queues", 1, 1, QUEUES_MAX),
            slots=power_of_two(switch, settings, "slots", 0, SLOTS_MIN, SLOTS_MAX),
            affinity=one_of(switch, settings, "affinity", AFFINITY, "queue"),
        )

    def placed(self, port: int, cores: Sequence[int], queues: Sequence[int]) -> str:
        """Return a port's queues and their cores as OVS's `pmd-rxq-affinity` has them; empty leaves them to OVS.

        With one polling thread there is nothing to choose. `queues`: how many each port has.
        """
        if self.affinity == "ovs" or len(cores) < 2:
            return ""
        first, step = (port, 0) if self.affinity == "port" else (sum(queues[:port]), 1)
        return ",".join(f"{queue}:{cores[(first + step * queue) % len(cores)]}" for queue in range(queues[port]))

    def parameters(self, socket: str) -> dict[str, str]:
        """Return what the generator is told about the port on `socket`: the other role."""
        role = "server" if self.vhost == "client" else "client"
        slots = {"rx_slots": str(self.slots), "tx_slots": str(self.slots)} if self.slots else {}
        return {"socket": socket, "role": role, "queues": str(self.queues), **slots}


def refuse_unknown(switch: str, settings: Mapping[str, str], keys: Sequence[str]) -> None:
    """See that nothing but `keys` is set.

    Raises:
        ConfigurationError: something else is; names what is accepted.
    """
    unknown = sorted(settings.keys() - set(keys))
    if unknown:
        raise ConfigurationError(f"{switch}: unknown setting {', '.join(unknown)}; accepted: {', '.join(keys)}")
