"""The papers' figures as references that stand beside ours; data in `fixtures/reference/papers.toml`.

A function a figure or table. Where a text states no figure for a case, as is so of most curves, there is none.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from pytest_nfv import Mpps, Reference, kpps

PAPERS = Path(__file__).parents[1] / "fixtures" / "reference" / "papers.toml"


@cache
def papers() -> dict[str, Any]:
    """Return all of the papers' figures."""
    with PAPERS.open("rb") as file:
        return tomllib.load(file)


def sockets(protocol: str, call: str) -> list[Reference]:
    """T1: the rate of kernel sockets over linux-bridge."""
    names = {"single": "send_recv", "many": "sendmmsg_recvmmsg"}
    figure = papers()["t1_sockets"][f"{protocol}_{names[call]}_kpps"]
    return [Reference("T20 table 2", (figure * kpps).pps)]


def baseline(function: str, frame_size: int) -> list[Reference]:
    """S1: the rate of BESS and ClickOS at their highest clock frequency."""
    table = papers()["s1_baseline"]["table1"]
    if frame_size != table["frame_bytes"]:
        return []
    ghz = table["cpu_ghz"][-1]
    return [
        Reference(f"S16 table 1, {name}, {ghz} GHz", (table[f"{key}_{function}_mpps"][-1] * Mpps).pps)
        for key, name in (("bess", "BESS"), ("clickos", "ClickOS"))
    ]


def mix() -> list[Reference]:
    """S2: the rate of a data centre's frames over 10GbE."""
    return [Reference("S16 4.1, BESS, 10 Gb/s", (papers()["s2_mix"]["bess_mean_mpps_at_10_gbps"] * Mpps).pps)]


def lost_before_the_vnf(frame_size: int, ours_pps: float) -> list[Reference]:
    """S3: what is lost between the port and the VNF."""
    if frame_size != 64:
        return []
    figure = papers()["s3_bottleneck"]["bess_lost_between_pnic0_and_vnic0_mpps"]
    return [Reference("S16 4.2, BESS", (figure * Mpps).pps, "pps", "lost before the VNF", ours_pps)]


def cpu_use(frame_size: int, ours_share: float) -> list[Reference]:
    """S4: the VNF's part of a core."""
    table = papers()["s4_cpu"]["clickos_l3fwd_2_6_ghz"]
    by_size = dict(zip(table["frame_bytes"], table["cpu_percent"], strict=True))
    if frame_size not in by_size:
        return []
    figure = by_size[frame_size] / 100
    return [Reference("S16 table 2, ClickOS", figure, "share", "vnf0's part of a core", ours_share)]


def scaling(pairs: int, ours_times: float) -> list[Reference]:
    """S7: what pairs forward in all over what one does; the paper says linear, up to three."""
    colocation = papers()["s7_colocation"]
    if colocation["scaling"] != "linear" or not 1 < pairs <= colocation["max_pairs"]:
        return []
    return [Reference("S16 figure 8", float(pairs), "times", f"{pairs} pairs in all over one", ours_times)]


def idle_latency(ours_s: float) -> list[Reference]:
    """S8: mean latency at 100 frames a second."""
    figure = papers()["s8_latency_by_load"]["bess_at_100_pps_us"]
    return [Reference("S17 figure 5, BESS", figure / 1e6, "s", "mean latency", ours_s)]


def knee(ours_pps: float) -> list[Reference]:
    """S8: the load from which on latency rises, which is what is forwarded at most."""
    figure = papers()["s8_latency_by_load"]["bess_knee_mpps"]
    return [Reference("S17 5.1, BESS", (figure * Mpps).pps, "pps", "load at which latency rises", ours_pps)]


def chain_latency(ours_s: float) -> list[Reference]:
    """S9: mean latency of a firewall and an L3Fwd in a chain."""
    figure = papers()["s9_latency_by_chain"]["bess_two_nf_us"]
    return [Reference("S17 figure 6, BESS", figure / 1e6, "s", "mean latency of Firewall > L3Fwd", ours_s)]


def latency_alone(ours_s: float) -> list[Reference]:
    """S9: mean latencies of the same two, each alone, added up."""
    figure = papers()["s9_latency_by_chain"]["bess_firewall_plus_l3fwd_alone_us"]
    return [Reference("S17 figure 6, BESS", figure / 1e6, "s", "mean latencies alone, added up", ours_s)]


def polling(ours_share: float) -> list[Reference]:
    """T6: what an application that polls uses of a core."""
    figure = papers()["t6_cpu"]["polling_app_cpu_percent"] / 100
    return [Reference("T20 4.6", figure, "share", "the generator's part of a core", ours_share)]
