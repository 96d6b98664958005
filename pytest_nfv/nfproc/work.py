"""From a function's value to what carries it out."""

from __future__ import annotations

from collections.abc import Mapping

from pytest_nfv.model.nf import Firewall, Function, L3Fwd, Own, Signature
from pytest_nfv.nfproc.batch import Batch, Ways, Work
from pytest_nfv.nfproc.firewall import Filter
from pytest_nfv.nfproc.l3fwd import Router
from pytest_nfv.nfproc.own import Checked
from pytest_nfv.nfproc.signature import Signer


class Wire:
    """`L2Fwd`: nothing is looked at."""

    def told(self) -> Mapping[str, int]:
        """Nothing of its own."""
        return {}

    def __call__(self, batch: Batch) -> Ways:
        """Send all by the other vNIC."""
        return 1 - batch.nic


def work_of(function: Function) -> Work:
    """Return the function, ready to run.

    Raises:
        ConfigurationError: a function of a user's own that is not there.
    """
    match function:
        case L3Fwd():
            return Router(function)
        case Firewall():
            return Filter(function)
        case Signature():
            return Signer()
        case Own():
            return Checked(function)
        case _:
            return Wire()
