"""A tree of /sys and /proc as a machine of two sockets has it, in a directory of the test's own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from pytest_nfv.hosts.tuning.knob import FileKnob

CPU = "sys/devices/system/cpu"
FREQUENCIES = (1_200_000, 1_600_000, 2_400_000)
IRQS = {24: "0-3", 25: "0", 26: "1", 30: "2-3"}


def make_tree(root: Path, *, cores: Sequence[int] = (0, 1, 2, 3), listed: bool = True) -> Path:
    """Make cores, each with a clock of its own, siblings two by two, and interrupts; return the root.

    Args:
        root: where; must not exist.
        cores: their numbers.
        listed: whether the driver lists its frequencies, as acpi-cpufreq does, or has any between two limits.
    """
    files = {
        f"{CPU}/online": f"{cores[0]}-{cores[-1]}",
        f"{CPU}/isolated": "",
        f"{CPU}/intel_pstate/no_turbo": "0",
        "sys/devices/system/node/online": "0-1",
    }
    for core in cores:
        files |= {f"{CPU}/cpu{core}/{name}": text for name, text in _core(core, listed).items()}
    files |= {f"proc/irq/{number}/smp_affinity_list": text for number, text in IRQS.items()}
    write(root, files)
    for core in cores:
        # The clock of a core whose limits are one frequency is that frequency.
        (root / f"{CPU}/cpu{core}/cpufreq/scaling_cur_freq").symlink_to("scaling_max_freq")
    return root


def _core(core: int, listed: bool) -> dict[str, str]:
    pair = core - core % 2
    clock = {
        "scaling_driver": "acpi-cpufreq" if listed else "intel_pstate",
        "scaling_governor": "schedutil",
        "scaling_available_governors": "performance powersave schedutil",
        "scaling_min_freq": str(FREQUENCIES[0]),
        "scaling_max_freq": str(FREQUENCIES[-1]),
        "cpuinfo_min_freq": str(FREQUENCIES[0]),
        "cpuinfo_max_freq": str(FREQUENCIES[-1]),
        "related_cpus": str(core),
    }
    if listed:
        clock["scaling_available_frequencies"] = " ".join(map(str, reversed(FREQUENCIES)))
    states = {
        f"cpuidle/state{number}/{name}": text
        for number, (state, latency) in enumerate((("POLL", "0"), ("C1", "2"), ("C6", "133")))
        for name, text in (("name", state), ("latency", latency), ("disable", "0"))
    }
    return {
        **{f"cpufreq/{name}": text for name, text in clock.items()},
        **states,
        **({"online": "1"} if core else {}),
        "topology/thread_siblings_list": f"{pair}-{pair + 1}",
        "topology/physical_package_id": str(core // 2),
    }


def clip(patch: pytest.MonkeyPatch, root: Path) -> None:
    """Have upper limits read no more than the nominal clock while turbo is off, as drivers show them."""
    system, really, asked = root.resolve() / CPU, FileKnob.write, dict[Path, int]()

    def write_and_clip(self: FileKnob, value: str) -> None:
        really(self, value)
        if self.path.name not in ("scaling_max_freq", "no_turbo"):
            return
        if self.path.name == "scaling_max_freq":
            asked[self.path] = int(value)
        turbo = (system / "intel_pstate/no_turbo").read_text().strip() == "0"
        for path in system.glob("cpu*/cpufreq/scaling_max_freq"):
            path.write_text(f"{min(asked.get(path, FREQUENCIES[-1]), FREQUENCIES[-1 if turbo else -2])}\n")

    patch.setattr(FileKnob, "write", write_and_clip)


def write(root: Path, files: Mapping[str, str]) -> None:
    """Write files, a line each."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{text}\n")


def read(root: Path) -> dict[str, str]:
    """Return every file below, by its name."""
    return {
        str(path.relative_to(root)): path.read_text().strip()
        for path in sorted(root.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
