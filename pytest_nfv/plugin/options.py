"""Every option, once: command line, ini and environment come from this table, and so does the reference.

An option `--nfv-frame-size` has the ini twin `nfv_frame_size` and the environment twin `PYTEST_NFV_FRAME_SIZE`.
The command line wins over the environment, that over the ini file, that over the default.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any, Literal

import pytest


@dataclass(frozen=True, slots=True)
class Option:
    """One setting.

    Attributes:
        name: without the prefix: `frame-size`.
        form: the accepted form, for help and errors.
        default: as text, in the same form.
        kind: `text`, `list` (repeatable, commas too) or `flag`.
    """

    name: str
    form: str
    default: str
    help: str
    kind: Literal["text", "list", "flag"] = "text"

    @property
    def flag(self) -> str:
        """As the command line has it."""
        return f"--nfv-{self.name}"

    @property
    def ini(self) -> str:
        """As the ini file has it."""
        return f"nfv_{self.name.replace('-', '_')}"

    @property
    def env(self) -> str:
        """As the environment has it."""
        return f"PYTEST_NFV_{self.name.replace('-', '_').upper()}"


OPTIONS = (
    Option(
        "host",
        "NAME[,tag:TAG]",
        "local",
        "testbeds to run on, one after the other: `local`, `sim`, one of --nfv-testbed's, or all that have a host "
        "with a tag",
        "list",
    ),
    Option("testbed", "FILE", "", "TOML file that declares more testbeds (docs/testbeds.md)"),
    Option("ssh-config", "FILE", "", "read instead of ~/.ssh/config for hosts by SSH, as with ssh -F"),
    Option("vswitch", "NAME[,NAME]", "", "switches to test; default: those that the testbed lists", "list"),
    Option(
        "vnf-host",
        "NAME[,NAME]",
        "namespace",
        "where VNFs run, for tests that take vnf_host: namespace, lxc or vm",
        "list",
    ),
    Option(
        "frame-size",
        "OCTETS[,OCTETS]",
        "",
        "frame sizes with FCS, or mixes (imix, FILE.toml): tests that parametrise frame_size run only these, "
        "others take them (64,512,1518)",
        "list",
    ),
    Option(
        "cpu-freq",
        "FREQUENCY[,..]",
        "",
        "clock frequencies of the device's cores, such as 1.2GHz,2.4GHz, for tests that take cpu_freq; "
        "default: as they are",
        "list",
    ),
    Option("link", "SPEED", "", "the line rate that `line rate` means, such as 10GbE; default: the testbed's"),
    Option("duration", "DURATION", "1s", "duration of a trial, such as 60s"),
    Option(
        "duration-sum",
        "DURATION",
        "",
        "summed trial duration that decides a load (RFC 9971); default: three trials",
    ),
    Option("loss-ratio", "RATIO", "0", "loss ratio up to which a trial is good, such as 0.005 or 0.5%"),
    Option(
        "exceed-ratio", "RATIO", "0.5", "share of the summed duration that may be lossy (RFC 9971); 0 is RFC 2544"
    ),
    Option("search", "METHOD", "tst009", "how throughput is searched: rfc2544, tst009 or rfc9971"),
    Option("retry-invalid", "N", "3", "how often an invalid trial is repeated before the test reports INVALID"),
    Option("sim", "KEY=VALUE,...", "", "the simulated device: capacity=12.5Mpps,noise=0.3%,burst_every=40s,..."),
    Option(
        "report", "DIR", "", "directory for record.json, its history and report.html; default: nothing is written"
    ),
    Option(
        "oversubscribe", "", "", "let VNFs share cores where a topology's placement takes more; marked so", "flag"
    ),
    Option(
        "lock-timeout",
        "DURATION",
        "10min",
        "how long to wait for a host that another run holds, before the test is an error; 0s does not wait",
    ),
    Option("require", "CAPABILITY[,..]", "", "capabilities whose absence is an error, not a skip", "list"),
    Option("plan", "", "", "print what would be deployed, how many trials and how long; touch nothing", "flag"),
)


def add(parser: pytest.Parser) -> None:
    """Register every option and its ini twin."""
    group = parser.getgroup("nfv", "dataplane performance (pytest-nfv)")
    for option in OPTIONS:
        text = f"{option.help} [{option.ini}, ${option.env}]"
        extra: dict[str, Any] = {"dest": option.ini, "default": None, "help": text.replace("%", "%%")}
        if option.kind == "flag":
            group.addoption(option.flag, action="store_true", **extra)
        elif option.kind == "list":
            group.addoption(option.flag, action="append", metavar=option.form, **extra)
        else:
            group.addoption(option.flag, action="store", metavar=option.form, **extra)
        parser.addini(option.ini, f"{option.help} (twin of {option.flag})", type="string", default="")


def raw(config: pytest.Config, option: Option) -> tuple[str, str]:
    """Return an option's text and where it came from; lists are joined by commas."""
    given = config.getoption(option.ini, None)
    if given:
        text = ",".join(given) if isinstance(given, list) else ("yes" if given is True else str(given))
        return text, option.flag
    if os.environ.get(option.env):
        return os.environ[option.env], f"${option.env}"
    ini = str(config.getini(option.ini) or "").strip()
    if ini:
        return ini, f"ini {option.ini}"
    return option.default, "default"


def given(config: pytest.Config) -> list[str]:
    """Return where options were given, for deciding whether they must be checked at once."""
    return [source for option in OPTIONS if (source := raw(config, option)[1]) != "default"]
