"""What LXC is told of a container, and what is mounted into it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pytest_nfv.vnfs.lxc_config import ContainerConfig, Mount
from pytest_nfv.vnfs.lxc_mounts import program_mounts, python_mounts
from pytest_nfv.vnfs.lxc_rootfs import make_rootfs


def lines(config: ContainerConfig) -> list[str]:
    return config.text().splitlines()


def config(folder: Path, **settings: object) -> ContainerConfig:
    return ContainerConfig("nfv-abcdefg-vnf", "vnf", folder, Path("/bin/busybox"), "/run/netns/n", **settings)  # type: ignore[arg-type]  # its own, by name


def test_it_shares_the_namespace_and_has_the_runs_name(tmp_path: Path) -> None:
    text = lines(config(tmp_path, environment=("A=b",)))
    assert "lxc.namespace.share.net = /run/netns/n" in text
    assert "lxc.cgroup.dir.container = nfv-abcdefg-vnf.container" in text
    assert "lxc.environment = A=b" in text
    assert not [line for line in text if "memory" in line]


@pytest.mark.parametrize(
    ("hierarchy", "key"), [(1, "lxc.cgroup.memory.limit_in_bytes"), (2, "lxc.cgroup2.memory.max")]
)
def test_a_memory_limit_in_octets(tmp_path: Path, hierarchy: int, key: str) -> None:
    assert f"{key} = {64 << 20}" in lines(config(tmp_path, memory_mib=64, hierarchy=hierarchy))


def test_what_lies_within_another_is_mounted_after_it(tmp_path: Path) -> None:
    inner = tmp_path / "with space"
    inner.mkdir()
    text = [
        one
        for one in lines(config(tmp_path, mounts=(Mount(inner, writable=True), Mount(tmp_path))))
        if "bind" in one
    ]
    escaped = f"{tmp_path}/with\\040space"
    assert text[1:] == [
        f"lxc.mount.entry = {tmp_path} {str(tmp_path)[1:]} none bind,ro,create=dir 0 0",
        f"lxc.mount.entry = {escaped} {escaped[1:]} none bind,create=dir 0 0",
    ]


def test_a_file_may_be_mounted(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert Mount(tmp_path / "file").entry().endswith(" none bind,ro,create=file 0 0")


def test_mounts_for_python_hold_it_and_this_package_once() -> None:
    paths = [mount.path for mount in python_mounts()]
    assert paths[: len(program_mounts())] == [mount.path for mount in program_mounts()]
    for needed in (Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[2] / "pytest_nfv"):
        assert [path for path in paths if path == needed or path in needed.parents], needed
    assert not any(mount.writable for mount in python_mounts())
    assert len(set(paths)) == len(paths)


def test_a_root_file_system_is_busybox_by_its_names(tmp_path: Path) -> None:
    make_rootfs(tmp_path / "rootfs", ["ls", "busybox"])
    assert (tmp_path / "rootfs" / "bin" / "ls").readlink() == Path("busybox")
    assert (tmp_path / "rootfs" / "etc" / "init").stat().st_mode & 0o777 == 0o755
