"""What the suites of S16 and S17 (SoftNIC and ClickOS under VNFs) share: their functions, sizes and figures."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from pytest_nfv import VNF, Firewall, L2Fwd, L3Fwd, Mpps, Reference

PAPERS = Path(__file__).parents[1] / "fixtures" / "reference" / "papers.toml"
SIZES = (64, 128, 256, 512, 1024, 1500)
L3FWD, FIREWALL, L2FWD = L3Fwd(10), Firewall(10), L2Fwd()
"""10 routes, 10 rules; L2Fwd is in chains only."""
CHAINS = {
    "L3Fwd": (L3FWD,),
    "Firewall>L3Fwd": (FIREWALL, L3FWD),
    "Firewall>L3Fwd>L2Fwd": (FIREWALL, L3FWD, L2FWD),
}
FLOOD = 10 * Mpps
"""More than any VNF here forwards: the generator offers as much of it as it can."""


def chain(name: str, host: str) -> list[VNF]:
    """Return the VNFs of one of `CHAINS`."""
    return [VNF(function, host=host) for function in CHAINS[name]]


def papers() -> dict[str, Any]:
    """Return the papers' figures."""
    with PAPERS.open("rb") as file:
        return tomllib.load(file)


def table_1(function: str, frame_size: int) -> Reference | None:
    """Return S16's figure for BESS at its highest clock frequency; the text has those of 64 B only."""
    table = papers()["s1_baseline"]["table1"]
    if frame_size != table["frame_bytes"]:
        return None
    return Reference(
        f"S16 table 1 (BESS, {table['cpu_ghz'][-1]} GHz)", (table[f"bess_{function}_mpps"][-1] * Mpps).pps
    )
