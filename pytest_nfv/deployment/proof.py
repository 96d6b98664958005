"""A look whether frames come through a deployment's VNFs at all, before anything is measured."""

from __future__ import annotations

import time

from pytest_nfv.deployment.arrivals import as_they_arrive
from pytest_nfv.deployment.deploy import Deployment
from pytest_nfv.deployment.frames import load_of
from pytest_nfv.model.offer import Offer
from pytest_nfv.model.trial import TrialSpec
from pytest_nfv.units import FrameSize

DEADLINE_S = 5.0
_FRAMES, _RATE_PPS = 20, 1000.0


def prove(deployment: Deployment) -> None:
    """Send a few default frames each way, until all of some round come through, or the deadline is over.

    A switch may poll a new port, and a VNF forward, only a moment after both say that they are up. Frames that a
    VNF drops by what it is told are not waited for. None is waited for beyond the deadline either: the trial's own
    counters say best where frames are lost.

    Raises:
        DeploymentError: the switch, or a VNF, is gone.
        GeneratorError: the generator is.
    """
    if deployment.proven:
        return
    deployment.proven = True
    topology = deployment.placement.topology
    load = load_of(topology, deployment.addresses, FrameSize(64), None, 1, 0)
    flows = load.flows(TrialSpec(64, _RATE_PPS, _FRAMES / _RATE_PPS, load.ways))
    through = tuple(
        flow
        for flow in flows
        if deployment.chains.arriving(flow.direction, bytes.fromhex(flow.template), deployment.addresses)
        is not None
    )
    offer = as_they_arrive(Offer(through), deployment.arriving)
    until = time.monotonic() + DEADLINE_S
    while through and time.monotonic() < until:
        report = deployment.generator.offer(offer)
        if all(flow.received == flow.sent for flow in report.flows):
            return
        deployment.check()
