"""The options as checked values. Made at the first need: an unused plugin parses nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.goal import SearchGoal
from pytest_nfv.model.simulation import Simulation
from pytest_nfv.model.testbed import Testbed, built_in, load
from pytest_nfv.plugin.options import OPTIONS, raw
from pytest_nfv.search.table import search
from pytest_nfv.units import Duration, FrameSize, Link, ratio
from pytest_nfv.vswitches.table import driver

T = TypeVar("T")
_FALLBACK_FRAME_SIZES = (64, 512, 1518)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run was told.

    Attributes:
        testbeds: those chosen, in order.
        vswitches: switches asked for; empty leaves it to each testbed.
        frame_sizes: sizes asked for; empty leaves it to each test.
        command: option texts that differ from their defaults, for the record.
    """

    testbeds: tuple[Testbed, ...]
    vswitches: tuple[str, ...]
    frame_sizes: tuple[int, ...]
    goal: SearchGoal
    method: str
    retry_invalid: int
    report: Path | None
    require: tuple[str, ...]
    plan: bool
    command: dict[str, str]

    @property
    def fallback_frame_sizes(self) -> tuple[int, ...]:
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

    duration = read("duration", Duration.of)
    if not duration.s:
        raise ConfigurationError(f"{texts['duration'][1]}={texts['duration'][0]}: accepted: above 0")
    total = read("duration-sum", lambda text: Duration.of(text) if text else duration * 3)
    goal = read(
        "duration-sum",
        lambda _: SearchGoal(
            loss_ratio=read("loss-ratio", ratio),
            exceed_ratio=read("exceed-ratio", ratio),
            trial_duration_s=duration.s,
            duration_sum_s=total.s,
        ),
    )
    return Settings(
        testbeds=read("host", lambda text: _testbeds(text, texts["testbed"][0], read)),
        vswitches=read("vswitch", lambda text: _each(text, _switch)),
        frame_sizes=read("frame-size", lambda text: _each(text, lambda one: FrameSize.of(one).octets)),
        goal=goal,
        method=read("search", _method),
        retry_invalid=read("retry-invalid", _count),
        report=read("report", lambda text: Path(text) if text else None),
        require=read("require", _capabilities),
        plan=texts["plan"][0] == "yes",
        command={name: text for name, (text, source) in texts.items() if source != "default"},
    )


def _each(text: str, parse: Callable[[str], T]) -> tuple[T, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    return tuple(dict.fromkeys(parse(word) for word in words))


def _switch(name: str) -> str:
    driver(name)
    return name


def _method(name: str) -> str:
    search(name)
    return name


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


def _testbeds(text: str, file: str, read: Callable[..., object]) -> tuple[Testbed, ...]:
    known = built_in() | (load(Path(file)) if file else {})
    chosen = []
    for name in _each(text, str):
        if name not in known:
            hint = "" if file else "; --nfv-testbed=FILE declares more"
            raise ConfigurationError(f"unknown host {name!r}; known: {', '.join(known)}{hint}")
        chosen.append(known[name])
    link = read("link", lambda one: Link.of(one) if one else None)
    if isinstance(link, Link):
        chosen = [testbed.with_link(link) for testbed in chosen]
    simulation = read("sim", lambda one: Simulation.parse(one) if one else None)
    if isinstance(simulation, Simulation):
        if not any(testbed.kind == "sim" for testbed in chosen):
            raise ConfigurationError("--nfv-sim goes with a simulated testbed; accepted: --nfv-host=sim")
        chosen = [one.with_simulation(simulation) if one.kind == "sim" else one for one in chosen]
    return tuple(chosen)
