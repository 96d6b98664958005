"""This package on a far host, in a virtual environment of its own: put there, brought up to date, taken away."""

from __future__ import annotations

import hashlib
import sys
import sysconfig
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from pytest_nfv import __version__
from pytest_nfv.errors import CommandError, DeploymentError
from pytest_nfv.hosts import own_wheel, package
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import MachineHost
from pytest_nfv.hosts.ssh import SshHost

PLACE = "~/.local/share/pytest-nfv/venv"
INSTALL_S = 600.0
LEAST = (3, 11)
_STAMP = "pytest-nfv.provisioned"
_UNFINISHED = "unfinished"
_ABOUT = "import sys, sysconfig; print('%d.%d.%d' % sys.version_info[:3], sysconfig.get_platform())"
_PIP = ("-m", "pip", "--disable-pip-version-check", "--no-input", "-q")
Say = Callable[[str], None]


def provision(host: SshHost, place: str, say: Say) -> None:
    """Put this package into `place` on a host, or bring it up to date; an interrupted call is taken up again.

    Args:
        host: where to.
        place: folder of the virtual environment, absolute or from `~/`.
        say: told what is done, a line each.

    Raises:
        DeploymentError: what is missing there, or which command failed.
    """
    venv = _absolute(host, place)
    with TemporaryDirectory() as folder:
        wheel = own_wheel.build(Path(folder))
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        stamp = _stamp(host, venv)
        if stamp == digest:
            say(f"{host.name}: pytest-nfv {__version__}, as it is here, is in {venv} already")
            return
        if stamp in ("", _UNFINISHED):
            _make(host, venv, say, begun=bool(stamp))
        _install(host, venv, wheel, say)
        host.write_text(f"{venv}/{_STAMP}", digest)
    check_version(host, f"{venv}/bin/python")
    say(f"{host.name}: installed pytest-nfv {__version__} in {venv}")


def remove(host: SshHost, place: str, say: Say) -> None:
    """Take away what `provision` put there.

    Raises:
        DeploymentError: something else is there.
    """
    venv = _absolute(host, place)
    if not _stamp(host, venv):
        if _entries(host, venv):
            raise DeploymentError(f"{host.name}: {venv} was not made by provision; it stays as it is")
        say(f"{host.name}: nothing is in {venv}")
        return
    code = "import shutil, sys; shutil.rmtree(sys.argv[1])"
    host.run([host.interpreter, "-I", "-S", "-c", code, venv])
    say(f"{host.name}: removed {venv}")


def far_version(host: MachineHost, python: str = "") -> str:
    """Return the version of this package that an interpreter of a host has.

    Args:
        host: where.
        python: the interpreter; the host's own where not given.

    Raises:
        DeploymentError: it has none; says how to get it there.
    """
    python = python or host.python
    try:
        return host.run([python, "-P", "-c", "import pytest_nfv; print(pytest_nfv.__version__)"]).stdout.strip()
    except CommandError as error:
        raise DeploymentError(f"{error}\npytest-nfv is not there; run: {package.remedy(host)}") from error


def check_version(host: MachineHost, python: str = "") -> None:
    """See that a host has this version of this package.

    Raises:
        DeploymentError: it has none, or another.
    """
    python = python or host.python
    package.check_found(host, python, far_version(host, python))


def _absolute(host: SshHost, place: str) -> str:
    path = host.home + place[1:] if place.startswith("~/") else place
    if not path.startswith("/") or path.count("/") < 2:
        raise DeploymentError(f"place {place!r}: accepted: an absolute path below a folder, or one from ~/")
    return path


def _stamp(host: SshHost, venv: str) -> str:
    return host.read_texts([f"{venv}/{_STAMP}"]).get(f"{venv}/{_STAMP}", "").strip()


def _entries(host: SshHost, venv: str) -> str:
    return host.run(["ls", "-A", "--", venv], check=False).stdout.strip()


def _make(host: SshHost, venv: str, say: Say, *, begun: bool) -> None:
    """Make the virtual environment; `begun`: a call that was cut may have made a part of it."""
    if not begun and _entries(host, venv):
        raise DeploymentError(f"{host.name}: {venv} has something else in it; accepted: a new folder")
    python = _new_enough(host)
    try:
        host.run([python, "-c", "import venv, ensurepip"])
    except CommandError as error:
        raise DeploymentError(
            f"{host.name}: {python} makes no virtual environments; apt-get install python3-venv"
        ) from error
    host.run(["mkdir", "-p", "--", venv])
    host.write_text(f"{venv}/{_STAMP}", _UNFINISHED)
    host.run([python, "-m", "venv", venv], timeout_s=INSTALL_S)
    say(f"{host.name}: made {venv} with {python}")


def _new_enough(host: SshHost) -> str:
    found = []
    for python in (host.interpreter, *(f"python3.{minor}" for minor in range(15, LEAST[1] - 1, -1))):
        try:
            version = host.run([python, "-I", "-S", "-c", _ABOUT]).stdout.split()[0]
        except CommandError:
            continue
        if tuple(map(int, version.split(".")[:2])) >= LEAST:
            return python
        found.append(f"{python} is {version}")
    least = ".".join(map(str, LEAST))
    raise DeploymentError(
        f"{host.name}: no Python {least} or newer ({', '.join(found)}); apt-get install python{least}"
    )


def _install(host: SshHost, venv: str, wheel: Path, say: Say) -> None:
    """Install the wheel and what it needs: by the host's pip, or where it reaches no index, with our files."""
    python, there = f"{venv}/bin/python", f"{venv}/{wheel.name}"
    host.put(wheel, there)
    try:
        host.run([python, *_PIP, "install", "--retries", "0", "--timeout", "10", there], timeout_s=INSTALL_S)
    except CommandError as far:
        say(f"{host.name}: its pip reaches no index; taking what pytest-nfv needs from here")
        try:
            _install_from_here(host, venv, wheel)
        except DeploymentError as near:
            raise DeploymentError(f"{far}\nand with files from here: {near}") from far
    # What is there already may be of the same version, and yet be older.
    host.run([python, *_PIP, "install", "--no-deps", "--force-reinstall", there], timeout_s=INSTALL_S)
    host.run(["rm", "-f", "--", there])


def _install_from_here(host: SshHost, venv: str, wheel: Path) -> None:
    python = f"{venv}/bin/python"
    theirs = host.run([python, "-I", "-S", "-c", _ABOUT]).stdout.split()
    ours = LocalHost().run([sys.executable, "-I", "-S", "-c", _ABOUT]).stdout.split()
    if theirs[0].split(".")[:2] != ours[0].split(".")[:2] or theirs[1] != sysconfig.get_platform():
        raise DeploymentError(
            f"{host.name} has Python {' on '.join(theirs)}, and here is {' on '.join(ours)}; give it a pip that "
            "reaches an index (PIP_INDEX_URL, or a proxy), or run from a machine that is like it"
        )
    folder = wheel.parent / "wheels"
    download = ["download", "--only-binary=:all:", "--dest", str(folder), str(wheel)]
    LocalHost().run([sys.executable, *_PIP, *download], timeout_s=INSTALL_S)
    wheels = f"{venv}/wheels"
    host.run(["mkdir", "-p", "--", wheels])
    _put_all(host, sorted(folder.iterdir()), wheels)
    install = ["install", "--no-index", "--find-links", wheels, f"{venv}/{wheel.name}"]
    host.run([python, *_PIP, *install], timeout_s=INSTALL_S)
    host.run(["rm", "-rf", "--", wheels])


def _put_all(host: SshHost, files: Sequence[Path], folder: str) -> None:
    for file in files:
        host.put(file, f"{folder}/{file.name}", timeout_s=INSTALL_S)
