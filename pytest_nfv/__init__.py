"""Make the performance of a software dataplane a test assertion.

Everything that a test file needs is here, imported when it is first used: pytest loads this package at
every start, also where no test uses it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_nfv.deployment.traffic import Deploy as Deploy
    from pytest_nfv.errors import NfvError as NfvError
    from pytest_nfv.model.bottleneck import Bottleneck as Bottleneck
    from pytest_nfv.model.bottleneck import bottleneck as bottleneck
    from pytest_nfv.model.bottleneck import component_of_thread as component_of_thread
    from pytest_nfv.model.chain import PVP as PVP
    from pytest_nfv.model.chain import Chain as Chain
    from pytest_nfv.model.chain import Colocated as Colocated
    from pytest_nfv.model.goal import SearchGoal as SearchGoal
    from pytest_nfv.model.measurement import ForwardingRate as ForwardingRate
    from pytest_nfv.model.measurement import LatencyResult as LatencyResult
    from pytest_nfv.model.mix import Mix as Mix
    from pytest_nfv.model.nf import Firewall as Firewall
    from pytest_nfv.model.nf import L2Fwd as L2Fwd
    from pytest_nfv.model.nf import L3Fwd as L3Fwd
    from pytest_nfv.model.nf import Own as Own
    from pytest_nfv.model.nf import Signature as Signature
    from pytest_nfv.model.reference import Reference as Reference
    from pytest_nfv.model.routes import Route as Route
    from pytest_nfv.model.routes import RouteTable as RouteTable
    from pytest_nfv.model.rules import Rule as Rule
    from pytest_nfv.model.rules import RuleSet as RuleSet
    from pytest_nfv.model.topology import P2P as P2P
    from pytest_nfv.model.topology import SocketPair as SocketPair
    from pytest_nfv.model.topology import VSwitch as VSwitch
    from pytest_nfv.model.trial import Latency as Latency
    from pytest_nfv.model.trial import ThreadUse as ThreadUse
    from pytest_nfv.model.trial import TrialResult as TrialResult
    from pytest_nfv.model.verdict import Verdict as Verdict
    from pytest_nfv.model.vnf import VNF as VNF
    from pytest_nfv.units import BitRate as BitRate
    from pytest_nfv.units import Duration as Duration
    from pytest_nfv.units import FrameSize as FrameSize
    from pytest_nfv.units import Frequency as Frequency
    from pytest_nfv.units import Gbps_l1 as Gbps_l1
    from pytest_nfv.units import Gbps_l2 as Gbps_l2
    from pytest_nfv.units import GHz as GHz
    from pytest_nfv.units import Link as Link
    from pytest_nfv.units import Mbps_l1 as Mbps_l1
    from pytest_nfv.units import Mbps_l2 as Mbps_l2
    from pytest_nfv.units import MHz as MHz
    from pytest_nfv.units import Mpps as Mpps
    from pytest_nfv.units import PacketRate as PacketRate
    from pytest_nfv.units import kpps as kpps
    from pytest_nfv.units import line_rate as line_rate
    from pytest_nfv.units import ms as ms
    from pytest_nfv.units import pps as pps
    from pytest_nfv.units import s as s
    from pytest_nfv.units import us as us

__version__ = "0.1.0"

_HOME = {
    "Bottleneck": "model.bottleneck",
    "Chain": "model.chain",
    "Colocated": "model.chain",
    "PVP": "model.chain",
    "Route": "model.routes",
    "RouteTable": "model.routes",
    "Rule": "model.rules",
    "RuleSet": "model.rules",
    "VNF": "model.vnf",
    "bottleneck": "model.bottleneck",
    "component_of_thread": "model.bottleneck",
    "Deploy": "deployment.traffic",
    "ForwardingRate": "model.measurement",
    "Latency": "model.trial",
    "LatencyResult": "model.measurement",
    "NfvError": "errors",
    "Mix": "model.mix",
    "SearchGoal": "model.goal",
    "P2P": "model.topology",
    "Reference": "model.reference",
    "SocketPair": "model.topology",
    "VSwitch": "model.topology",
    "ThreadUse": "model.trial",
    "TrialResult": "model.trial",
    "Verdict": "model.verdict",
}
_HOME |= dict.fromkeys(("Firewall", "L2Fwd", "L3Fwd", "Own", "Signature"), "model.nf")
_UNITS = (
    "BitRate Duration FrameSize Frequency GHz Gbps_l1 Gbps_l2 Link MHz Mbps_l1 Mbps_l2 Mpps PacketRate kpps "
    "line_rate ms pps s us"
)
_HOME |= dict.fromkeys(_UNITS.split(), "units")

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'pytest_nfv' has no attribute {name!r}")
    return getattr(import_module(f"pytest_nfv.{_HOME[name]}"), name)
