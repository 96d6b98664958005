"""The requests of the JSON lines, read with suspicion: what is wrong is named, nothing is assumed."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.model.offer import (
    CYCLE_MAX,
    LEARNING_FLOW,
    ROLES,
    SIGNATURE_OCTETS,
    TUPLES_MAX,
    FlowOffer,
    Offer,
    PortSpec,
)

OPS = ("open", "learn", "floor", "offer", "finish", "abort", "close")
LINE_OCTETS_MAX = 16 << 20
_TEMPLATE_MIN = 60


def parse(line: str) -> tuple[str, Mapping[str, Any]]:
    """Return the operation and the request it stands in.

    Raises:
        ConfigurationError: no JSON object, or an unknown operation.
    """
    try:
        request = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ConfigurationError(f"request {line[:80]!r} is not JSON ({error})") from error
    if not isinstance(request, dict):
        raise ConfigurationError(f"request {line[:80]!r}: accepted: a JSON object with an `op`")
    op = request.get("op")
    if op not in OPS:
        raise ConfigurationError(f"request op {op!r}: accepted: {', '.join(OPS)}")
    return op, request


def read_ports(request: Mapping[str, Any]) -> tuple[PortSpec, ...]:
    """Return the ports to open.

    Raises:
        ConfigurationError: names the field that cannot be read.
    """
    ports = request.get("ports")
    if not isinstance(ports, list) or not ports:
        raise ConfigurationError(f"ports {ports!r}: accepted: a list of at least one port")
    try:
        specs = tuple(PortSpec(**port) for port in ports)
    except TypeError as error:
        raise ConfigurationError(f"ports: {error}") from error
    for spec in specs:
        if not _texts(spec.kind, spec.address) or not isinstance(spec.parameters, dict):
            raise ConfigurationError(f"port {spec!r}: accepted: kind, address: texts; parameters: an object")
        if not _texts(*spec.parameters.values()):
            raise ConfigurationError(f"port parameters {spec.parameters!r}: accepted: texts")
        if not _whole(spec.mtu, 46):
            raise ConfigurationError(f"port mtu {spec.mtu!r}: accepted: a whole number from 46 on")
    return specs


def read_offer(request: Mapping[str, Any], ports: int, template_min: int = _TEMPLATE_MIN) -> Offer:
    """Return the offer for a generator that has `ports` open, whose templates have at least so many octets.

    Raises:
        ConfigurationError: names the field that cannot be used.
    """
    try:
        offer = Offer.from_json(request["offer"])
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ConfigurationError(f"offer cannot be read: {type(error).__name__}: {error}") from error
    if not offer.flows:
        raise ConfigurationError("offer: it has no flow; accepted: at least one")
    if offer.role not in ROLES:
        raise ConfigurationError(f"role {offer.role!r}: accepted: {', '.join(ROLES)}")
    for name in ("maximum", "receiver_measured"):
        if not isinstance(getattr(offer, name), bool):
            raise ConfigurationError(f"{name} {getattr(offer, name)!r}: accepted: true, false")
    for flow in offer.flows:
        _check_flow(flow, ports, offer.role)
        _check_frames(flow, template_min)
    numbers = [flow.flow for flow in offer.flows]
    if len(set(numbers)) < len(numbers):
        raise ConfigurationError(f"flow numbers {numbers}: accepted: each once")
    if not _whole(offer.burst, 0) or not _whole(offer.latency_every, 0):
        raise ConfigurationError(
            f"burst {offer.burst!r}, latency_every {offer.latency_every!r}: accepted: 0 and above"
        )
    if not _number(offer.settle_s) or not _number(offer.quiet_s):
        raise ConfigurationError(
            f"settle_s {offer.settle_s!r}, quiet_s {offer.quiet_s!r}: accepted: seconds, above 0"
        )
    return offer


def _check_flow(flow: FlowOffer, ports: int, role: str) -> None:
    name = f"flow {flow.flow!r}"
    if not _whole(flow.flow, 0) or flow.flow >= LEARNING_FLOW:
        raise ConfigurationError(f"{name}: accepted: 0 to {LEARNING_FLOW - 1}")
    ends: Sequence[Any] = (flow.direction.tx, flow.direction.rx)
    here = {"both": ends, "send": ends[:1], "receive": ends[1:]}[role]
    if any(not _whole(end, 0) for end in ends) or any(end >= ports for end in here):
        raise ConfigurationError(f"{name}: direction {ends[0]!r}>{ends[1]!r}: {ports} ports are open, from 0 on")
    if not _number(flow.rate_pps):
        raise ConfigurationError(f"{name}: rate_pps {flow.rate_pps!r}: accepted: above 0")
    if not _whole(flow.frames, 1):
        raise ConfigurationError(f"{name}: frames {flow.frames!r}: accepted: a whole number from 1 on")


def _check_frames(flow: FlowOffer, least: int) -> None:
    name = f"flow {flow.flow!r}"
    for shape in flow.shapes:
        _check_template(name, "template", shape.template, least)
        if shape.expected != "":
            _check_template(name, "expected", shape.expected, least)
    if not _whole(flow.tuples, 1) or flow.tuples > TUPLES_MAX:
        raise ConfigurationError(f"{name}: tuples {flow.tuples!r}: accepted: 1 to {TUPLES_MAX:,}")
    shapes, places = len(flow.shapes), flow.cycle or (0,) * len(flow.shapes)
    if len(places) > CYCLE_MAX or any(not _whole(place, 0) or place >= shapes for place in places):
        raise ConfigurationError(
            f"{name}: cycle of {len(places)}: accepted: up to {CYCLE_MAX:,} numbers of its {shapes} shapes, from 0"
        )
    if flow.others and not flow.cycle:
        raise ConfigurationError(f"{name}: {shapes} shapes and no cycle; accepted: a cycle that says their order")


def _check_template(name: str, what: str, text: str, least: int) -> None:
    try:
        octets = len(bytes.fromhex(text))
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"{name}: {what} is not hex ({error})") from error
    if octets < least or len(text) != 2 * octets:
        raise ConfigurationError(
            f"{name}: {what} of {octets} octets: accepted: {least} and more, without FCS and blanks, "
            f"{SIGNATURE_OCTETS} of them for the signature"
        )


def _texts(*values: object) -> bool:
    return all(isinstance(value, str) and "\0" not in value for value in values)


def _whole(value: object, least: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value > 0
