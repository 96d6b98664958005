"""Where a guest's kernel, its modules and its programs come from, and what is said where they do not."""

from __future__ import annotations

import gzip
import lzma
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Completed, Process
from pytest_nfv.vnfs import vm_image, vm_kernel, vm_modules, vm_needs, vm_tools
from pytest_nfv.vnfs.vm_kernel import Kernel

DEPENDS = {"virtio_net": "net_failover,virtio", "net-failover": "failover", "failover": "", "virtio_net2": ""}


class ScriptedHost:
    """Answers commands as told, by their first word; what is not told of is not to be found."""

    name = "scripted"

    def __init__(self, answers: Mapping[str, Callable[[Sequence[str]], str]]) -> None:
        self._answers = answers
        self.ran: list[tuple[str, ...]] = []

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str = "",
        timeout_s: float = 30.0,
        check: bool = True,
        cores: Sequence[int] = (),
    ) -> Completed:
        self.ran.append(tuple(argv))
        answer = self._answers.get(argv[0])
        if answer is None:
            raise CommandError(self.name, argv, None, "No such file or directory")
        return Completed(tuple(argv), 0, answer(argv), "")

    def start(
        self, argv: Sequence[str], *, cores: Sequence[int] = (), env: Mapping[str, str] | None = None
    ) -> Process:
        raise CommandError(self.name, argv, None, "nothing is started here")

    def read_text(self, path: str) -> str:
        raise FileNotFoundError(path)

    def write_text(self, path: str, text: str) -> None:
        raise FileNotFoundError(path)


def made(root: Path, release: str = "6.1.0-1-cloud-amd64", modules: Mapping[str, str] = DEPENDS) -> Kernel:
    """Make a kernel of words below `root`."""
    folder = root / "lib/modules" / release
    (folder / "kernel").mkdir(parents=True)
    (root / "boot").mkdir(exist_ok=True)
    (root / "boot" / f"vmlinuz-{release}").write_bytes(b"kernel")
    (folder / "modules.order").write_text("".join(f"kernel/{name}.ko\n" for name in modules))
    (folder / "modules.builtin").write_text("kernel/virtio.ko\n")
    for name, needs in modules.items():
        (folder / "kernel" / f"{name}.ko").write_bytes(
            b"\x7fELF\0depends=" + needs.encode() + b"\0" + name.encode()
        )
    return Kernel(release, root / "boot" / f"vmlinuz-{release}", folder)


def test_modules_come_after_what_they_need_and_without_what_is_built_in(tmp_path: Path) -> None:
    folder = made(tmp_path).modules
    assert list(vm_modules.in_order(folder, ["virtio-net", "failover", "virtio"])) == [
        "failover",
        "net_failover",
        "virtio_net",
    ]


@pytest.mark.parametrize(("suffix", "pack"), [(".xz", lzma.compress), (".gz", gzip.compress)])
def test_packed_modules_are_unpacked(tmp_path: Path, suffix: str, pack: Callable[[bytes], bytes]) -> None:
    folder = made(tmp_path).modules
    plain = folder / "kernel/failover.ko"
    octets = plain.read_bytes()
    plain.with_name(f"failover.ko{suffix}").write_bytes(pack(octets))
    plain.unlink()
    assert vm_modules.in_order(folder, ["failover"]) == {"failover": octets}
    plain.with_name(f"failover.ko{suffix}").write_bytes(b"broken")
    with pytest.raises(CapabilityMissing, match="no module failover that can be read"):
        vm_modules.in_order(folder, ["failover"])


@pytest.fixture
def packed(tmp_path: Path) -> tuple[Path, bytes]:
    """A kernel's folder whose module `failover` is packed as Ubuntu packs it, and its octets."""
    if shutil.which("zstd") is None:
        pytest.skip("no zstd to pack a module with: apt-get install zstd")
    folder = made(tmp_path).modules
    plain = folder / "kernel/failover.ko"
    octets = plain.read_bytes()
    subprocess.run(["zstd", "-q", "-19", "--rm", str(plain)], check=True)
    return folder, octets


def test_modules_packed_with_zstd_are_unpacked(packed: tuple[Path, bytes]) -> None:
    folder, octets = packed
    assert not (folder / "kernel/failover.ko").exists()
    assert list(vm_modules.in_order(folder, ["virtio-net"])) == ["failover", "net_failover", "virtio_net"]
    assert vm_modules.in_order(folder, ["failover"]) == {"failover": octets}
    (folder / "kernel/failover.ko.zst").write_bytes(b"broken")
    with pytest.raises(CapabilityMissing, match="no module failover that can be read"):
        vm_modules.in_order(folder, ["failover"])


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="Python unpacks by itself")
def test_without_zstd_it_is_said_how_to_get_it(
    packed: tuple[Path, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(CapabilityMissing, match="packed with zstd, which is not installed: apt-get install zstd"):
        vm_modules.in_order(packed[0], ["failover"])
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(vm_needs, "MODULES", ("failover",))
    monkeypatch.setattr(vm_needs, "roots", lambda: [tmp_path])
    with pytest.raises(CapabilityMissing, match=r"could not be fetched .*apt-get install zstd"):
        vm_needs.guest_kernel(ScriptedHost({}))


def test_of_fetched_kernels_the_newest_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm_kernel, "cache_folder", lambda: tmp_path / "vm")
    assert vm_needs.roots() == [Path("/")]
    names = [f"linux-image-6.{version}-cloud-amd64" for version in ("12.1-1", "1.0-40", "1.0-9")]
    for name in reversed(names):
        (tmp_path / "vm" / name).mkdir(parents=True)
    assert vm_needs.roots() == [Path("/"), *(tmp_path / "vm" / name for name in names)]


def test_a_module_that_newer_kernels_have_in_another_is_found_there(tmp_path: Path) -> None:
    folder = made(tmp_path, modules={"nf_tables": "", "nft_meta_bridge": "nf_tables"}).modules
    with pytest.raises(CapabilityMissing, match="no module nft_objref"):
        vm_modules.in_order(folder, ["nf_tables", "nft_objref"])
    with (folder / "kernel/nf_tables.ko").open("ab") as module:
        module.write(b"\0nft_objref_type\0")
    assert list(vm_modules.in_order(folder, ["nft_objref", "nft_meta_bridge"])) == ["nf_tables", "nft_meta_bridge"]


def test_a_module_that_is_not_there_is_named_with_the_kernel(tmp_path: Path) -> None:
    folder = made(tmp_path).modules
    with pytest.raises(CapabilityMissing, match=r"vm: the guest kernel 6\.1\.0-1-cloud-amd64 .*no module bridge"):
        vm_modules.in_order(folder, ["bridge"])
    (folder / "kernel/failover.ko").rename(folder / "kernel/failover.ko.bz2")
    with pytest.raises(CapabilityMissing, match=r"no failover\.ko, nor packed by \.xz, \.gz, \.zst"):
        vm_modules.in_order(folder, ["failover"])
    with pytest.raises(CapabilityMissing, match=r"no modules\.builtin"):
        vm_modules.in_order(tmp_path, ["failover"])


def test_the_first_kernel_that_has_all_is_taken(tmp_path: Path) -> None:
    made(tmp_path / "one", modules={"failover": ""})
    other = made(tmp_path / "two")
    roots = [tmp_path / "none", tmp_path / "one", tmp_path / "two"]
    kernel, why = vm_kernel.find(["virtio_net"], roots)
    assert kernel == other
    assert len(why) == 1
    assert "no module virtio_net" in why[0]
    assert vm_kernel.find(["virtio_net"], roots[:2])[0] is None


def test_a_kernel_is_fetched_once(tmp_path: Path) -> None:
    def apt_get(argv: Sequence[str]) -> str:
        assert argv[:2] == ["env", "-C"]
        (Path(argv[2]) / "linux.deb").write_bytes(b"deb")
        return ""

    def dpkg_deb(argv: Sequence[str]) -> str:
        made(Path(argv[3]))
        return ""

    host = ScriptedHost(
        {
            "apt-cache": lambda _: "linux-image-cloud-amd64\n  Depends: linux-image-6.1.0-1-cloud-amd64\n",
            "env": apt_get,
            "dpkg-deb": dpkg_deb,
        }
    )
    cache = tmp_path / "cache"
    root = vm_kernel.fetch(host, cache)
    assert [kernel.release for kernel in vm_kernel.kernels(root)] == ["6.1.0-1-cloud-amd64"]
    assert vm_kernel.fetch(host, cache) == root
    assert [argv[0] for argv in host.ran] == ["apt-cache", "env", "dpkg-deb", "apt-cache"]
    assert list(cache.iterdir()) == [root]


def test_no_kernel_to_be_had_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(CapabilityMissing) as caught:
        vm_kernel.fetch(ScriptedHost({}), tmp_path)
    assert caught.value.capability == "vm"
    assert "linux-image-cloud-amd64 could not be fetched (No such file or directory)" in caught.value.missing
    assert "apt-get update" in caught.value.remedy
    with pytest.raises(CapabilityMissing, match="apt-cache knows no linux-image-cloud-amd64"):
        vm_kernel.fetch(ScriptedHost({"apt-cache": lambda _: ""}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_cache_is_the_users(tmp_path: Path) -> None:
    assert vm_kernel.cache_folder({"XDG_CACHE_HOME": "/c", "HOME": "/h"}) == Path("/c/pytest-nfv/vm")
    assert vm_kernel.cache_folder({"XDG_CACHE_HOME": "c", "HOME": "/h"}) == Path("/h/.cache/pytest-nfv/vm")
    with pytest.raises(CapabilityMissing, match="HOME is not set"):
        vm_kernel.cache_folder({})


LDD = """\tlinux-vdso.so.1 (0x00007ffc)
\tlibmnl.so.0 => /lib/x86_64-linux-gnu/libmnl.so.0 (0x00007f01)
\t/lib64/ld-linux-x86-64.so.2 (0x00007f02)
"""


def test_libraries_are_read_from_ldd() -> None:
    assert vm_tools.linked(LDD, "/sbin/ip") == ["/lib/x86_64-linux-gnu/libmnl.so.0", "/lib64/ld-linux-x86-64.so.2"]
    with pytest.raises(CapabilityMissing, match=r"/sbin/ip lacks its library libz\.so"):
        vm_tools.linked("\tlibz.so => not found\n", "/sbin/ip")


def test_a_program_that_is_not_there_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vm_tools, "_PLACES", ())
    for program, package in vm_tools.PACKAGES.items():
        with pytest.raises(
            CapabilityMissing, match=f"{program}, which the guest needs.*apt-get install {package}"
        ):
            vm_tools.located(LocalHost(), program)


def test_an_image_is_known_by_what_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel, cache = made(tmp_path), tmp_path / "cache"
    monkeypatch.setattr(vm_image, "MODULES", ("virtio_net",))
    monkeypatch.setattr(vm_image, "busybox", lambda host: [])
    monkeypatch.setattr(vm_image, "with_libraries", lambda host, programs: [])
    one = vm_image.initramfs(LocalHost(), kernel, cache)
    assert b"failover.ko\nnet_failover.ko\nvirtio_net.ko\n" in one.read_bytes()
    before = one.stat().st_mtime_ns
    assert vm_image.initramfs(LocalHost(), kernel, cache) == one
    assert one.stat().st_mtime_ns == before
    (kernel.modules / "kernel/failover.ko").write_bytes(b"another")
    other = vm_image.initramfs(LocalHost(), kernel, cache)
    assert sorted(cache.iterdir()) == sorted([one, other])
