"""A wheel of this package as it is installed here, editable or not, made without an index or a build tool."""

from __future__ import annotations

import base64
import hashlib
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

import pytest_nfv
from pytest_nfv.errors import DeploymentError

NAME = "pytest-nfv"
_TAGS = "Wheel-Version: 1.0\nGenerator: pytest-nfv\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def build(folder: Path) -> Path:
    """Write the wheel into `folder` and return its path; of the same files comes the same wheel, octet by octet.

    Raises:
        DeploymentError: this package is used here without being installed.
    """
    try:
        installed = distribution(NAME)
    except PackageNotFoundError as error:
        raise DeploymentError(f"{NAME} is not installed here, only imported; `pip install` it first") from error
    version = installed.version
    about = f"pytest_nfv-{version}.dist-info"
    files = _package() | {f"{about}/{name}": text.encode() for name, text in _about(installed).items()}
    record = "".join(f"{name},{_digest(content)},{len(content)}\n" for name, content in files.items())
    files[f"{about}/RECORD"] = f"{record}{about}/RECORD,,\n".encode()
    path = folder / f"pytest_nfv-{version}-py3-none-any.whl"
    with ZipFile(path, "w", ZIP_DEFLATED) as wheel:
        for name, content in files.items():
            wheel.writestr(ZipInfo(name), content, ZIP_DEFLATED)  # dated 1980
    return path


def _package() -> dict[str, bytes]:
    top = Path(pytest_nfv.__file__).parent
    paths = (path for path in sorted(top.rglob("*")) if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(top.parent)): path.read_bytes() for path in paths}


def _about(installed: Distribution) -> dict[str, str]:
    names = ("METADATA", "entry_points.txt")
    return {name: installed.read_text(name) or "" for name in names} | {"WHEEL": _TAGS}


def _digest(content: bytes) -> str:
    return "sha256=" + base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
