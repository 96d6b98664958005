"""Every key of a testbed file as Markdown tables, from the tables that read it; docs/testbeds.md has them."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_nfv.model.testbed_keys import HOST, LINK, PORT, TESTBED
from pytest_nfv.model.toml_file import Key

_TABLES = (
    ("`[host.NAME]`", HOST),
    ("a port: `ports.PORT = { ... }` of a host", PORT),
    ("`[[link]]`", LINK),
    ("`[testbed.NAME]`", TESTBED),
)


def text() -> str:
    """Return the tables."""
    return "\n".join(line for title, keys in _TABLES for line in _table(title, keys)).strip() + "\n"


def _table(title: str, keys: tuple[Key, ...]) -> Iterator[str]:
    kinds = any(key.kinds for key in keys)
    yield from ("", f"### {title}", "")
    yield "| key | form |" + (" of kind |" if kinds else "") + " default | meaning |"
    yield "|---|---|" + ("---|" if kinds else "") + "---|---|"
    for key in keys:
        of = f" {', '.join(key.kinds) or 'any'} |" if kinds else ""
        form = " or ".join(f"`{one}`" for one in key.form.split(" or "))
        yield f"| `{key.name}` | {form} |{of} {'needed' if key.needed else key.default} | {key.help} |"
