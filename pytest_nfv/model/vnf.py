"""VNFs as values: a network function, what carries it out, and where that runs."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.nf import KINDS, Firewall, Function, L2Fwd, L3Fwd, Own, Signature

AUTO = "auto"
FUNCTIONS: dict[str, tuple[type[Function], ...]] = {
    "kernel": (L2Fwd, L3Fwd, Firewall),
    "numpy": (L2Fwd, L3Fwd, Firewall, Signature, Own),
    "testpmd": (L2Fwd,),
    "xdp": (L2Fwd, L3Fwd),
}
"""What each engine can do."""
VM_ENGINES = ("kernel", "testpmd")
"""Those that are inside a guest."""
ENGINES = (AUTO, *FUNCTIONS)
HOSTS = ("namespace", "lxc", "vm")
VNICS_MAX = 16
VM_MEMORY_MIB = 1024
"""A VM's memory where nothing else is said, as in S16."""
MEMORY_MIN_MIB = {"namespace": 16, "lxc": 4, "vm": 64}
"""The least memory that a program on each host starts in."""
VM_TESTPMD_MIB = 512
"""The least memory of a guest with testpmd: its root file system, DPDK's libraries in it, and huge pages."""


@dataclass(frozen=True, slots=True)
class VNF:
    """A virtual network function with its vNICs: what comes in by the first of a pair leaves by the second.

    Attributes:
        function: what it does with a frame: `L2Fwd()`, `L3Fwd(10)`, `Firewall(10)`, `Signature()`, `Own(...)`.
        engine: what does it: `kernel`, `numpy`, `testpmd`, `xdp`; `auto` takes the kernel where vNICs are
            interfaces and it has the function, else numpy.
        host: where it runs: `namespace`, `lxc` (a container) or `vm`.
        vnics: how many, in pairs. More than two split the load: frames take turns with the pairs (S16's S3).
        queues: queue pairs of each; of a VM at most its vCPUs.
        vcpus: virtual processors of a VM.
        memory_mib: MiB of memory; 0 sets no limit, and 1 GiB for a VM. Outside a VM the kernel's engine has none.
    """

    function: Function
    engine: str = field(default=AUTO, kw_only=True)
    host: str = field(default="namespace", kw_only=True)
    vnics: int = field(default=2, kw_only=True)
    queues: int = field(default=1, kw_only=True)
    vcpus: int = field(default=1, kw_only=True)
    memory_mib: int = field(default=0, kw_only=True)

    def __post_init__(self) -> None:
        for name, value, accepted in (("engine", self.engine, ENGINES), ("host", self.host, HOSTS)):
            if value not in accepted:
                raise ConfigurationError(f"VNF({name}={value!r}): accepted: {', '.join(accepted)}")
        if not isinstance(self.function, tuple(KINDS.values())):
            raise ConfigurationError(f"VNF({self.function!r}): accepted: a network function such as L2Fwd()")
        for name, least, most in (
            ("vnics", 2, VNICS_MAX),
            ("queues", 1, 16),
            ("vcpus", 1, 64),
            ("memory_mib", 0, 1 << 20),
        ):
            number = getattr(self, name)
            if isinstance(number, bool) or not isinstance(number, int) or not least <= number <= most:
                raise ConfigurationError(f"VNF({name}={number!r}): accepted: {least} to {most}")
        if self.vnics % 2 or (self.vnics > 2 and not isinstance(self.function, L3Fwd)):
            raise ConfigurationError(
                f"VNF({self.function}, vnics={self.vnics}): accepted: 2, and with L3Fwd an even number up to "
                f"{VNICS_MAX}: the load is split over pairs of vNICs by the address of each"
            )
        if not self.engines or self.engine not in (AUTO, *self.engines):
            able = ", ".join(name for name, functions in FUNCTIONS.items() if isinstance(self.function, functions))
            raise ConfigurationError(
                f"VNF({self.function}, engine={self.engine!r}, host={self.host!r}): accepted: "
                f"{', '.join(self.engines) or f'none in a guest; elsewhere {able}'}"
            )
        if self.host == "vm" and self.queues > self.vcpus:
            raise ConfigurationError(
                f"VNF(queues={self.queues}, host='vm', vcpus={self.vcpus}): accepted: up to {self.vcpus}: "
                f"a guest's kernel uses no more queues than it has processors"
            )
        if self.host == "vm" and self.engine == "testpmd" and self.queues > 1:
            raise ConfigurationError(
                f"VNF(queues={self.queues}, engine='testpmd', host='vm'): accepted: 1, or engine='kernel'"
            )
        testpmd = self.host == "vm" and self.engine == "testpmd"
        least = VM_TESTPMD_MIB if testpmd else MEMORY_MIN_MIB[self.host]
        if 0 < self.memory_mib < least:
            raise ConfigurationError(
                f"VNF(memory_mib={self.memory_mib}, engine={self.engine!r}, host={self.host!r}): accepted: from "
                f"{least}, or 0 for {f'{VM_MEMORY_MIB} MiB' if self.host == 'vm' else 'no limit'}"
            )
        if self.vcpus > 1 and self.host != "vm":
            raise ConfigurationError(f"VNF(vcpus={self.vcpus}, host={self.host!r}): accepted: 1, or host='vm'")

    @property
    def engines(self) -> tuple[str, ...]:
        """Those that have its function, and can be on its host."""
        there = VM_ENGINES if self.host == "vm" else tuple(FUNCTIONS)
        return tuple(engine for engine in there if isinstance(self.function, FUNCTIONS[engine]))

    @property
    def routes(self) -> bool:
        """Whether frames must carry its vNICs' own addresses: it forwards on layer 3."""
        return isinstance(self.function, L3Fwd)

    def on(self, engine: str) -> VNF:
        """Return the same VNF with an engine chosen."""
        return replace(self, engine=engine)

    def __str__(self) -> str:
        more = f", {self.vnics} vNICs" if self.vnics > 2 else ""
        more += f", {self.queues} queues" if self.queues > 1 else ""
        more += f", {self.vcpus} vCPUs" if self.vcpus > 1 else ""
        more += f", {self.memory_mib} MiB" if self.memory_mib else ""
        return f"{self.function} by {self.engine} in {self.host}{more}"
