"""What testpmd is told by `VSwitch.settings`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.parameters import one_of, power_of_two, whole

MODES = ("io", "mac", "macswap")
PORTS = ("vhost_user", "memif", "af_xdp")
SLOTS_MIN, SLOTS_MAX = 64, 16_384  # DPDK's memif takes no more
QUEUES_MAX = 16
BURST_MAX = 512  # MAX_PKT_BURST of testpmd
_KEYS = ("mode", "ports", "queues", "slots", "burst")


@dataclass(frozen=True, slots=True)
class Settings:
    """One testpmd.

    Attributes:
        mode: `io` forwards frames as they are, `mac` writes both MAC addresses anew, `macswap` swaps them.
        ports: their kind, `vhost_user`, `memif` or `af_xdp`.
        queues: of each port, each way.
        slots: entries of each ring; 0 leaves it to the port.
        burst: frames that testpmd takes from a queue at a time.
    """

    mode: str = "io"
    ports: str = "vhost_user"
    queues: int = 1
    slots: int = 0
    burst: int = 32

    @classmethod
    def of(cls, given: Mapping[str, str], name: str) -> Settings:
        """Read the settings of a switch called `name`.

        Raises:
            ConfigurationError: one is unknown or out of range.
        """
        unknown = sorted(given.keys() - set(_KEYS))
        if unknown:
            raise ConfigurationError(f"{name}: unknown setting {', '.join(unknown)}; accepted: {', '.join(_KEYS)}")
        made = cls(
            mode=one_of(name, given, "mode", MODES, "io"),
            ports=one_of(name, given, "ports", PORTS, "vhost_user"),
            queues=whole(name, given, "queues", 1, 1, QUEUES_MAX),
            slots=power_of_two(name, given, "slots", 0, SLOTS_MIN, SLOTS_MAX),
            burst=whole(name, given, "burst", 32, 1, BURST_MAX),
        )
        if made.ports == "af_xdp" and made.queues > 1:
            raise ConfigurationError(
                f"{name}: queues {made.queues}: accepted with ports=af_xdp: 1, as a veth pair has"
            )
        return made
