"""What goes over the wire to a far host, run as sshd runs it: by a shell that is given one string."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.hosts import ssh_wire
from pytest_nfv.hosts.carry import UNBOUND

MARK = "0123456789abcdef"
ECHO = "import json, os, sys; print(json.dumps([sys.argv[1:], os.environ.get('TOLD'), sys.stdin.read()]))"
SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "csh", "fish")
COMMANDS = (
    "$(touch ran)",
    "`touch ran`",
    "; touch ran",
    "'; touch ran; '",
    '"; touch ran; "',
    "&& touch ran",
    "> ran",
)
ODD = (
    "\n touch ran\n",
    "-c",
    "--",
    "${IFS}",
    "~/x",
    "*",
    "!!",
    "\\",
    "-",
    "",
    "%n",
    "\x1b[0m",
    "#",
    "ü",
    "\udcff",
)
NASTY = st.sampled_from(COMMANDS) | st.sampled_from(ODD)
WORD = st.one_of(
    NASTY,
    st.text(st.characters(blacklist_characters="\0", blacklist_categories=["Cs"])),
    st.lists(NASTY).map("".join),
)


def by_a_shell(
    payload: bytes, folder: Path, python: str = sys.executable, shell: str = "/bin/sh"
) -> tuple[bytes, bytes]:
    """Do what sshd does with a command line."""
    argv = [shell, "-c", ssh_wire.command_line(python)]
    done = subprocess.run(argv, input=payload, capture_output=True, cwd=folder, timeout=20, check=False)
    return done.stdout, done.stderr


@settings(max_examples=25, deadline=None)
@given(words=st.lists(WORD, max_size=4), value=WORD)
def test_no_word_or_value_can_run_a_command_of_its_own(
    words: list[str], value: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("far")
    argv = [sys.executable, "-I", "-S", "-c", ECHO, *words]
    payload = ssh_wire.command(MARK, argv, {"TOLD": value}, [])
    stdout, stderr = by_a_shell(payload + b"read by it", folder)
    begun, _, told = stdout.partition(b"\n")
    assert begun == MARK.encode()
    assert json.loads(told) == [words, value, "read by it"]
    sieve = ssh_wire.Sieve(MARK)
    assert sieve.feed(stderr) + sieve.rest() == b""
    assert (sieve.status, sieve.failed) == (0, None)
    assert list(folder.iterdir()) == []


@settings(max_examples=15, deadline=None)
@given(path=WORD.filter(lambda text: "/" not in text and text not in ("", ".", "..") and len(text) < 60))
def test_no_path_can_run_a_command_of_its_own(path: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("far")
    from pytest_nfv.hosts import far_copy

    argv = [sys.executable, "-I", "-S", "-c", Path(far_copy.__file__).read_text(), "put", path, "4", "384"]
    by_a_shell(ssh_wire.command(MARK, argv, {}, []) + b"text", folder)
    assert [entry.read_bytes() for entry in folder.iterdir()] == [b"text"]
    assert os.listdir(folder) == [path]


@pytest.mark.parametrize("shell", [name for name in SHELLS if shutil.which(name)])
def test_shells_of_any_kind_pass_it_on(shell: str, tmp_path: Path) -> None:
    payload = ssh_wire.command(MARK, ["echo", "it's"], {}, [])
    assert by_a_shell(payload, tmp_path, shell=shell)[0] == f"{MARK}\nit's\n".encode()


@pytest.mark.parametrize("python", ["", "/nonexistent/python", "$(touch ran)", "-c", "~/nonexistent"])
def test_the_first_python_that_is_there(python: str, tmp_path: Path) -> None:
    payload = ssh_wire.command(MARK, ["echo", "found"], {}, [])
    assert by_a_shell(payload, tmp_path, python)[0].endswith(b"\nfound\n")
    assert not list(tmp_path.iterdir())


def test_no_python_is_told(tmp_path: Path) -> None:
    argv = [
        "/bin/sh",
        "-c",
        ssh_wire.command_line("").replace("python3", "python-none").replace("bin/python", "none"),
    ]
    done = subprocess.run(argv, input=b"", capture_output=True, cwd=tmp_path, timeout=20, check=False)
    assert done.returncode == 127
    assert b"pytest-nfv: no python" in done.stderr


def test_nobody_reads_the_end_of_a_header_that_never_comes(tmp_path: Path) -> None:
    whole = ssh_wire.command(MARK, ["touch", "ran"], {}, [])
    for octets in (0, 4, 8, 100, len(whole) - 1):
        by_a_shell(whole[:octets], tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_no_command_can_be_given() -> None:
    for argv, env in ((["a\0b"], {}), (["a"], {"A": "\0"}), (["a"], {"A=B": "1"}), (["a"], {"": "1"})):
        with pytest.raises(ValueError, match=r"null byte|variable name"):
            ssh_wire.command(MARK, argv, env, [])


def test_failure_to_start_is_told(tmp_path: Path) -> None:
    sieve = ssh_wire.Sieve(MARK)
    rest = sieve.feed(by_a_shell(ssh_wire.command(MARK, ["/nonexistent/x"], {}, []), tmp_path)[1])
    assert sieve.failed is not None
    assert "No such file or directory" in sieve.failed
    assert rest == b"not started: [Errno 2] No such file or directory\n" or b"No such file" in rest


def test_unbound_is_not_killed_with_its_parent(tmp_path: Path) -> None:
    asked = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        "import ctypes; n = ctypes.c_int(); ctypes.CDLL(None).prctl(2, ctypes.byref(n)); print(n.value)",
    ]
    bound, unbound = (
        by_a_shell(ssh_wire.command(MARK, asked, {}, options), tmp_path)[0] for options in ([], [UNBOUND])
    )
    assert bound.endswith(b"\n9\n")
    assert unbound.endswith(b"\n0\n")


@given(text=st.binary(), cuts=st.lists(st.integers(0, 200)), at=st.integers(0, 200))
def test_our_own_words_come_out_of_a_stream_wherever_they_are_and_however_it_is_cut(
    text: bytes, cuts: list[int], at: int
) -> None:
    mark = MARK.encode()
    stream = text[:at] + mark + b" pid 12\n" + text[at:] + mark + b" ended -9\n"
    sieve = ssh_wire.Sieve(MARK)
    edges = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    clean = b"".join(sieve.feed(stream[one:two]) for one, two in itertools.pairwise(edges)) + sieve.rest()
    assert clean == text
    assert (sieve.pid, sieve.status, sieve.failed) == (12, -9, None)
