"""What the suites of S16 and S17 (SoftNIC and ClickOS under VNFs) share: functions, sizes, and how they ask."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pytest_nfv import VNF, Firewall, ForwardingRate, L2Fwd, L3Fwd, LatencyResult, Mpps

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
LOSS = 0.01
"""Less is an event; more says that as much as the generator offers is too much."""
ROUNDS = 3
"""A round that something else on the machine spoilt may say anything: so many must agree before it is believed."""


def chain(name: str, host: str) -> list[VNF]:
    """Return the VNFs of one of `CHAINS`."""
    return [VNF(function, host=host) for function in CHAINS[name]]


def asked_again(question: Callable[[], str]) -> str:
    """Ask up to `ROUNDS` times, each time of more that was measured; return the first "", or the last answer."""
    for _ in range(ROUNDS):
        answer = question()
        if not answer:
            break
    return answer


def rates_pps(found: ForwardingRate) -> list[float]:
    """Return what each valid trial forwarded, per direction."""
    return [trial.forwarded_pps for trial in found.trials if trial.valid]


def needs_cores(found: ForwardingRate) -> None:
    """Skip where what asked for cores of its own shared them (`--nfv-oversubscribe`)."""
    shared = [note for note in found.subject.notes if note.startswith("oversubscribed")]
    if shared:
        pytest.skip(f"{shared[0]}; name more in the testbed's device_cores")


def needs_a_device(found: ForwardingRate | LatencyResult) -> None:
    """Skip where the simulated device answered: it has neither VNFs nor cores, and its latency no queue."""
    if found.subject.simulated:
        pytest.skip("the simulated device has no such shape; take a real one, such as --nfv-host=local")


def needs_loss(found: ForwardingRate) -> None:
    """Skip where next to nothing was lost: the generator is the limit, and what is behind it is not known."""
    if found.loss_ratio < LOSS:
        pytest.skip(f"next to nothing of {found.offered_pps:,.0f} pps was lost; offer more, by a faster port")
