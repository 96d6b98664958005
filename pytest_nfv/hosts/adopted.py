"""Ports of the host's network cards, taken into a namespace of the run and given back as they were.

A journal in the run's directory is written before anything is changed, so that the agent, or the reaper of a later
run, gives back what a killed run had taken. The kernel itself gives back real cards only, and as the run named
them; a virtual interface would end with the namespace.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.away import ADOPTED as JOURNAL
from pytest_nfv.hosts.ethtool import get_offload, set_offload
from pytest_nfv.hosts.links import asked, index_of
from pytest_nfv.hosts.netns import NAMED, Namespace

_SELF = Path("/proc/thread-self/ns/net")
_IPV4, _IPV6, _LINK_SCOPE = 2, 10, 253
_UP, _LOOPBACK, _PROMISCUOUS = 0x1, 0x8, 0x100  # netdevice(7)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be taken.

    Attributes:
        interface: its name on the host; name: the one that it gets.
        offloads: `tso`, `gso`, `gro` to on or off; mtu: largest layer-3 packet.
    """

    interface: str
    name: str
    offloads: Mapping[str, bool]
    mtu: int


@dataclass(frozen=True, slots=True)
class Taken:
    """One interface as it was, and where it is now.

    Attributes:
        role, namespace: of the run's namespace that it is in, and that one's full name.
        home: inode of the network namespace that it belongs to.
        up, promiscuous, mtu, offloads: as they were.
    """

    role: str
    namespace: str
    interface: str
    name: str
    home: int
    up: bool
    promiscuous: bool
    mtu: int
    offloads: Mapping[str, bool]


def take(directory: Path, space: Namespace, role: str, wanted: Wanted) -> None:
    """Take an interface of this host into `space`, and bring it up there.

    Raises:
        DeploymentError: there is none, it is in use, or the kernel refuses; then it is where it was.
    """
    with _home(_SELF) as home:
        index = _free_to_take(home, wanted.interface)
        (link,) = home.routes.get_links(index)
        was = Taken(
            role,
            space.name,
            wanted.interface,
            wanted.name,
            _SELF.stat().st_ino,
            bool(link["flags"] & _UP),
            bool(link["flags"] & _PROMISCUOUS),
            int(link.get("mtu")),
            {offload: get_offload(wanted.interface, offload) for offload in wanted.offloads},
        )
        _write(directory, [*_read(directory), was])
        try:
            with asked(f"take {wanted.interface} into {space.name}"):
                home.routes.link("set", index=index, state="down")
                home.routes.link("set", index=index, net_ns_fd=space.descriptor)
            _set_up(space, wanted)
        except BaseException:
            give_back(directory, role)
            raise


def _set_up(space: Namespace, wanted: Wanted) -> None:
    index = index_of(space, wanted.interface)
    with asked(f"set {wanted.interface} up as {wanted.name}"):
        space.routes.link("set", index=index, ifname=wanted.name, mtu=wanted.mtu)
        with space.entered():
            for offload, on in wanted.offloads.items():
                set_offload(wanted.name, offload, on)
        space.routes.link("set", index=index, state="up")


def _free_to_take(home: Namespace, interface: str) -> int:
    found = home.routes.link_lookup(ifname=interface)
    if not found:
        known = sorted(link.get("ifname") for link in home.routes.get_links() if not link["flags"] & _LOOPBACK)
        raise DeploymentError(f"there is no interface {interface}; there are: {', '.join(known) or 'none'}")
    index = int(found[0])
    (link,) = home.routes.get_links(index)
    if link.get("master"):
        raise DeploymentError(f"interface {interface} is a port of a bridge or bond; take it out first")
    for family in (_IPV4, _IPV6):
        for address in home.routes.get_addr(family=family, index=index):
            if address["scope"] < _LINK_SCOPE:
                raise DeploymentError(
                    f"interface {interface} has the address {address.get('address')}: a port for measuring "
                    "has none (is it the one that the host is managed by?)"
                )
    return index


def give_back(directory: Path, role: str = "") -> list[str]:
    """Give back what was taken for a role, or for all; return it, a phrase an interface.

    Raises:
        DeploymentError: the kernel keeps some; the others are given back.
    """
    given, trouble = [], []
    kept = _read(directory)
    for one in reversed([taken for taken in kept if role in ("", taken.role)]):
        try:
            if _given_back(one):
                given.append(f"interface {one.interface} given back")
        except (DeploymentError, OSError) as error:
            trouble.append(f"interface {one.interface}: {error}")
            continue
        kept.remove(one)
        with suppress(OSError):  # a full disk must keep no card from its host; giving back twice does no harm
            _write(directory, kept)
    if trouble:
        raise DeploymentError("; ".join(trouble))
    return given


def _given_back(was: Taken) -> bool:
    """Move it home, or set it right where it is home already; whether there was anything to do."""
    home_path = _namespace_with(was.home)
    if home_path is None:
        return False  # its host is gone
    with _home(home_path) as home:
        path = NAMED / was.namespace
        moved = False
        if path.exists():
            with _home(path) as space:
                for name in (was.name, was.interface):
                    for index in space.routes.link_lookup(ifname=name):
                        _restore(space, int(index), name, was)
                        with asked(f"give {was.interface} back"):
                            space.routes.link("set", index=index, net_ns_fd=home.descriptor)
                        moved = True
        found = home.routes.link_lookup(ifname=was.interface) or home.routes.link_lookup(ifname=was.name)
        if not found:
            return moved
        with asked(f"set {was.interface} as it was"):
            home.routes.link("set", index=found[0], state="down")
            home.routes.link("set", index=found[0], ifname=was.interface, mtu=was.mtu)
            home.routes.link("set", index=found[0], state="up" if was.up else "down")
    return True


def _restore(space: Namespace, index: int, name: str, was: Taken) -> None:
    with suppress(OSError):  # a kernel without threaded NAPI
        space.write(f"/sys/class/net/{name}/threaded", "0")
    with space.entered():
        for offload, on in was.offloads.items():
            set_offload(name, offload, on)
    with asked(f"give {was.interface} its name back"):
        space.routes.link("set", index=index, state="down")
        flags = _PROMISCUOUS if was.promiscuous else 0  # a switch that was killed left it as it needed it
        space.routes.link("set", index=index, ifname=was.interface, flags=flags, change=_PROMISCUOUS)


@contextmanager
def _home(path: Path) -> Iterator[Namespace]:
    """Have a namespace open that is not the run's own."""
    space = Namespace(path.name, str(path), os.open(path, os.O_RDONLY | os.O_CLOEXEC), named=False)
    try:
        yield space
    finally:
        space.remove()  # closes only: it has no name of ours


def _namespace_with(inode: int) -> Path | None:
    """Return a path of the network namespace with this inode; None where nobody is in it any more."""
    named = sorted(NAMED.iterdir()) if NAMED.is_dir() else []
    for path in (_SELF, Path("/proc/1/ns/net"), *named, *Path("/proc").glob("[0-9]*/ns/net")):
        with suppress(OSError):
            if path.stat().st_ino == inode:
                return path
    return None


def _read(directory: Path) -> list[Taken]:
    try:
        return [Taken(**one) for one in json.loads((directory / JOURNAL).read_text(encoding="utf-8"))]
    except FileNotFoundError:
        return []


def _write(directory: Path, taken: list[Taken]) -> None:
    if not taken:
        (directory / JOURNAL).unlink(missing_ok=True)
        return
    entries: list[dict[str, Any]] = [asdict(one) for one in taken]
    fresh = directory / f"{JOURNAL}.new"
    with fresh.open("w", encoding="utf-8") as file:
        json.dump(entries, file)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(directory / JOURNAL)
