"""The options as checked values. Made at the first need: an unused plugin parses nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.ssh_config import config_text
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.mix import Mix, sizes_of
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import Testbed, built_in
from pytest_nfv.model.testbed_file import load
from pytest_nfv.model.vnf import HOSTS
from pytest_nfv.plugin.options import OPTIONS, raw
from pytest_nfv.search.table import search
from pytest_nfv.units import Duration, Frequency, Link, ratio
from pytest_nfv.vswitches.table import driver

T = TypeVar("T")
_FALLBACK_FRAME_SIZES = (64, 512, 1518)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was told.

    Attributes:
        testbeds: those chosen, in order.
        ssh_config: read instead of ~/.ssh/config.
        vswitches: switches asked for; empty leaves it to each testbed.
        vnf_hosts: where VNFs run, for tests that take it.
        frame_sizes: sizes, or mixes of them, asked for; empty leaves it to each test.
        cpu_freqs: clock frequencies asked for; empty leaves the cores as they are.
        lock_timeout: how long to wait for a host that another run holds.
        command: option texts that differ from their defaults, for the record.
    """

    testbeds: tuple[Testbed, ...]
    ssh_config: Path | None
    vswitches: tuple[str, ...]
    vnf_hosts: tuple[str, ...]
    frame_sizes: tuple[int | Mix, ...]
    cpu_freqs: tuple[Frequency, ...]
    goal: SearchGoal
    method: str
    retry_invalid: int
    report: Path | None
    require: tuple[str, ...]
    lock_timeout: Duration
    plan: bool
    command: dict[str, str]

    @property
    def fallback_frame_sizes(self) -> tuple[int | Mix, ...]:
        """Sizes for a test that asks for `frame_size` without parametrising it."""
        return self.frame_sizes or _FALLBACK_FRAME_SIZES

    def switches_of(self, testbed: Testbed) -> tuple[str, ...]:
        """Return the switches that this run tests on a testbed."""
        return self.vswitches or testbed.vswitches


def settings(config: pytest.Config) -> Settings:
    """Read and check every option.

    Raises:
        ConfigurationError: names the option, its value and what is accepted.
    """
    texts = {option.name: raw(config, option) for option in OPTIONS}

    def read(name: str, parse: Callable[[str], T]) -> T:
        text, source = texts[name]
        try:
            return parse(text)
        except ConfigurationError as error:
            shown = f"--nfv-{name}" if source == "default" else source
            raise ConfigurationError(f"{shown}={text}: {error}") from error

    duration = read("duration", _trial_duration)
    total = read("duration-sum", lambda text: Duration.of(text) if text else duration * 3)
    loss, exceed = read("loss-ratio", ratio), read("exceed-ratio", ratio)
    goal = read("duration-sum", lambda _: SearchGoal(loss, exceed, duration.s, total.s))
    known = read("testbed", lambda text: built_in() | (load(Path(text)) if text else {}))
    link = read("link", lambda text: Link.of(text) if text else None)
    simulation = read("sim", lambda text: Simulation.parse(text) if text else None)
    testbeds = read("host", lambda text: _chosen(text, known))
    if link is not None:
        testbeds = tuple(testbed.with_link(link) for testbed in testbeds)
    if read("oversubscribe", _flag):
        testbeds = tuple(replace(testbed, oversubscribe=True) for testbed in testbeds)
    if simulation is not None:
        testbeds = read("sim", lambda _: _simulated(testbeds, simulation))
    return Settings(
        testbeds=testbeds,
        ssh_config=read("ssh-config", lambda text: _ssh_config(text) if text else None),
        vswitches=read("vswitch", lambda text: _each(text, _switch)),
        vnf_hosts=read("vnf-host", lambda text: _each(text, _vnf_host)),
        frame_sizes=read("frame-size", lambda text: _each(text, _frame_size)),
        cpu_freqs=read("cpu-freq", lambda text: _each(text, Frequency.of)),
        goal=goal,
        method=read("search", _method),
        retry_invalid=read("retry-invalid", _count),
        report=read("report", lambda text: Path(text) if text else None),
        require=read("require", _capabilities),
        lock_timeout=read("lock-timeout", Duration.of),
        plan=read("plan", _flag),
        command={name: text for name, (text, source) in texts.items() if source != "default"},
    )


def _each(text: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if text and not words:
        raise ConfigurationError("nothing is named; accepted: one name or more, separated by commas")
    return tuple(dict.fromkeys(parse(word) for word in words))


def _ssh_config(text: str) -> Path:
    config_text(Path(text))
    return Path(text).absolute()


def _vnf_host(text: str) -> str:
    if text not in HOSTS:
        raise ConfigurationError(f"{text!r}: accepted: {', '.join(HOSTS)}")
    return text


def _frame_size(text: str) -> int | Mix:
    sizes = sizes_of(text)
    return sizes if isinstance(sizes, Mix) else sizes.octets


def _switch(name: str) -> str:
    driver(name)
    return name


def _method(name: str) -> str:
    search(name)
    return name


def _flag(text: str) -> bool:
    if text.lower() in ("1", "true", "yes", "on"):
        return True
    if text.lower() in ("", "0", "false", "no", "off"):
        return False
    raise ConfigurationError("accepted: yes or no (1, true, on; 0, false, off)")


def _count(text: str) -> int:
    if not text.strip().isdecimal():
        raise ConfigurationError("accepted: a whole number, 0 or more")
    return int(text)


def _capabilities(text: str) -> tuple[str, ...]:
    from pytest_nfv.deployment.capabilities import known

    names = _each(text, str)
    for name in names:
        if name not in known():
            raise ConfigurationError(f"unknown capability {name!r}; known: {', '.join(known())}")
    return names


def _trial_duration(text: str) -> Duration:
    found = Duration.of(text)
    if not found.s:
        raise ConfigurationError("accepted: above 0, such as 60s")
    return found


def _chosen(text: str, known: Mapping[str, Testbed]) -> tuple[Testbed, ...]:
    groups = _each(
        text, lambda word: _tagged(word[4:], known) if word.startswith("tag:") else (_known(word, known),)
    )
    return tuple(dict.fromkeys(testbed for group in groups for testbed in group))


def _known(name: str, known: Mapping[str, Testbed]) -> Testbed:
    if name not in known:
        raise ConfigurationError(
            f"unknown host {name!r}; known: {', '.join(known)} (--nfv-testbed=FILE declares more)"
        )
    return known[name]


def _tagged(tag: str, known: Mapping[str, Testbed]) -> tuple[Testbed, ...]:
    found = tuple(testbed for testbed in known.values() if tag in testbed.tags)
    if not found:
        tags = sorted({one for testbed in known.values() for one in testbed.tags})
        raise ConfigurationError(
            f"unknown tag {tag!r}; known: {', '.join(tags) or 'none'} (hosts in --nfv-testbed=FILE have them)"
        )
    return found


def _simulated(testbeds: tuple[Testbed, ...], simulation: Simulation) -> tuple[Testbed, ...]:
    if not any(testbed.kind == "sim" for testbed in testbeds):
        raise ConfigurationError("no simulated testbed was chosen; accepted: together with --nfv-host=sim")
    return tuple(one.with_simulation(simulation) if one.kind == "sim" else one for one in testbeds)
