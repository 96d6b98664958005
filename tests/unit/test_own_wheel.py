"""The wheel that this package makes of itself."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

from pytest_nfv import __version__
from pytest_nfv.hosts.own_wheel import build


def test_everything_is_in_it_and_recorded(tmp_path: Path) -> None:
    path = build(tmp_path)
    assert path.name == f"pytest_nfv-{__version__}-py3-none-any.whl"
    with ZipFile(path) as wheel:
        files = {name: wheel.read(name) for name in wheel.namelist()}
    about = f"pytest_nfv-{__version__}.dist-info"
    assert {"pytest_nfv/py.typed", "pytest_nfv/hosts/launch.py", f"{about}/METADATA"} <= set(files)
    assert not [name for name in files if "__pycache__" in name]
    assert b"pytest11" in files[f"{about}/entry_points.txt"]
    recorded = {row[0]: row[1:] for row in csv.reader(io.StringIO(files[f"{about}/RECORD"].decode()))}
    assert set(recorded) == set(files)
    for name, (digest, octets) in recorded.items():
        if name != f"{about}/RECORD":
            ours = base64.urlsafe_b64encode(hashlib.sha256(files[name]).digest()).decode().rstrip("=")
            assert (digest, int(octets)) == (f"sha256={ours}", len(files[name]))


def test_the_same_files_make_the_same_wheel(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert build(tmp_path).read_bytes() == build(tmp_path / "other").read_bytes()


def test_it_installs(tmp_path: Path) -> None:
    target = tmp_path / "site"
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(target)]
    subprocess.run([*pip, str(build(tmp_path))], check=True, capture_output=True, timeout=120)
    code = f"import sys; sys.path.insert(0, {str(target)!r}); import pytest_nfv; print(pytest_nfv.__file__)"
    told = subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, capture_output=True, text=True)
    assert told.stdout.startswith(str(target))
