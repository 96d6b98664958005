"""The archive that a guest starts from, as GNU cpio's format and the kernel's description have it."""

from __future__ import annotations

import shutil
import stat
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.vnfs.vm_cpio import Entry, archive, device, file, folder, link


def unpacked(octets: bytes) -> list[tuple[str, int, bytes, tuple[int, int]]]:
    """Read an archive by the kernel's description of it: (path, mode, data, device) of everything."""
    found: list[tuple[str, int, bytes, tuple[int, int]]] = []
    at = 0
    while True:
        assert octets[at : at + 6] == b"070701"
        fields = [int(octets[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in range(13)]
        name = octets[at + 110 : at + 110 + fields[11]]
        assert name.endswith(b"\0")
        at += 110 + fields[11] + -(110 + fields[11]) % 4
        data = octets[at : at + fields[6]]
        assert len(data) == fields[6]
        at += fields[6] + -fields[6] % 4
        if name == b"TRAILER!!!\0":
            assert at == len(octets)
            return found
        found.append((name[:-1].decode(), fields[1], data, (fields[9], fields[10])))


def test_everything_is_there_with_the_folders_above_it() -> None:
    made = archive([file("bin/sh", b"#!", executable=True), link("sbin/a", "../bin/sh"), device("dev/null", 1, 3)])
    assert unpacked(made) == [
        ("bin", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("bin/sh", stat.S_IFREG | 0o755, b"#!", (0, 0)),
        ("dev", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("dev/null", stat.S_IFCHR | 0o600, b"", (1, 3)),
        ("sbin", stat.S_IFDIR | 0o755, b"", (0, 0)),
        ("sbin/a", stat.S_IFLNK | 0o777, b"../bin/sh", (0, 0)),
    ]


@given(
    st.dictionaries(
        st.lists(st.text("abc.-_", min_size=1, max_size=5).filter(lambda one: one not in (".", "..")), min_size=1)
        .map("/".join)
        .filter(lambda one: len(one) < 40),
        st.binary(max_size=40),
        max_size=5,
    )
)
def test_any_files_come_out_as_they_went_in(files: dict[str, bytes]) -> None:
    entries = [file(f"d{number}/{path}", data) for number, (path, data) in enumerate(files.items())]
    made = archive(entries)
    assert made == archive(reversed(entries))
    assert {path: data for path, mode, data, _ in unpacked(made) if stat.S_ISREG(mode)} == {
        entry.path: entry.data for entry in entries
    }


@pytest.mark.skipif(shutil.which("cpio") is None, reason="no cpio here to read it: apt-get install cpio")
def test_cpio_itself_reads_it(tmp_path: Path) -> None:
    made = archive([file("a/b", b"words"), link("a/c", "b")])
    subprocess.run(["cpio", "-id", "--quiet"], input=made, cwd=tmp_path, check=True)
    assert (tmp_path / "a/c").read_bytes() == b"words"


@pytest.mark.parametrize("path", ["", "/bin", "a//b", "a/../b", "a/", "TRAILER!!!", "ä", "a\0b"])
def test_a_path_that_would_be_unpacked_elsewhere_is_refused(path: str) -> None:
    with pytest.raises(ConfigurationError, match=r"archive path .*accepted"):
        file(path, b"")


def test_other_kinds_of_files_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="accepted: a file, folder, link"):
        Entry("a", stat.S_IFBLK | 0o600)


def test_a_path_stands_for_one_thing() -> None:
    with pytest.raises(ConfigurationError, match="'a' is there twice"):
        archive([file("a", b""), folder("a")])
    with pytest.raises(ConfigurationError, match="'a/b': a is no folder"):
        archive([file("a", b""), file("a/b", b"")])
