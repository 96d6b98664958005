"""What a container with nothing but BusyBox lacks for programs of this machine: tried with testpmd and Python."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from pytest_nfv.vnfs.lxc_config import Mount

# Programs, libraries, the dynamic linker where programs expect it, and what Debian leads to by alternatives.
_PROGRAMS = ("/usr", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache", "/etc/alternatives")
_PACKAGES = ("pytest_nfv", "numpy")


def program_mounts() -> tuple[Mount, ...]:
    """Return what programs of this machine need that are installed below /usr, read-only."""
    return tuple(Mount(path) for path in map(Path, _PROGRAMS) if path.exists())


def python_mounts(packages: Sequence[str] = _PACKAGES) -> tuple[Mount, ...]:
    """Return what this interpreter needs, with `packages` as installed, read-only; `program_mounts` among it.

    So `[sys.executable, "-m", "pytest_nfv.nfproc"]` starts in a container as anywhere.
    """
    places = {Path(sys.prefix), Path(sys.base_prefix)}
    for package in packages:
        spec = find_spec(package)
        if spec is not None and spec.origin is not None:
            places.add(Path(spec.origin).parent.parent)
    seen = {mount.path for mount in program_mounts()}
    hidden = {place for place in places if {place, *place.parents} & seen or set(place.parents) & places}
    return (*program_mounts(), *(Mount(place) for place in sorted(places - hidden)))
