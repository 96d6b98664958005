"""The search procedures by name."""

from __future__ import annotations

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.search.protocol import Search
from pytest_nfv.search.rfc2544 import rfc2544
from pytest_nfv.search.rfc9971 import rfc9971
from pytest_nfv.search.tst009 import tst009

SEARCHES: dict[str, Search] = {
    "rfc2544": rfc2544,
    "tst009": tst009,
    "rfc9971": rfc9971,
}


def search(name: str) -> Search:
    """Return a procedure by its name.

    Raises:
        ConfigurationError: no such procedure; lists the known ones.
    """
    try:
        return SEARCHES[name]
    except KeyError:
        raise ConfigurationError(f"search {name!r}: accepted: {', '.join(SEARCHES)}") from None
