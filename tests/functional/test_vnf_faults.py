"""What goes wrong with VNFs, as a user meets it: a clear error, the next test unharmed, and nothing left behind.

A user's test file runs in a pytest of its own; what breaks is broken from a thread of that file, in mid-trial.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest

from pytest_nfv.hosts import userns
from tests.functional.conftest import Suite, wait_for

pytestmark = [
    pytest.mark.usefixtures("nothing_left"),
    pytest.mark.skipif(not userns.privileged(), reason="control groups, mounts and containers take root"),
]

FAULTS = '''
import gc, os, signal, threading, time
from pathlib import Path

from pytest_nfv.vnfs.vm import VirtualMachine


def processes(word):
    """Return the processes of runs whose command line has a word."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            ours = entry.name.isdecimal() and b"PYTEST_NFV_RUN=" in (entry / "environ").read_bytes()
            if ours and word.encode() in (entry / "cmdline").read_bytes():
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def kill(word):
    """Kill all processes whose command line has a word, the innermost last."""
    for pid in processes(word):
        os.kill(pid, signal.SIGKILL)


def end_containers():
    """Kill the first process of each container."""
    for pid in processes("lxc-start"):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                os.kill(int(child), signal.SIGKILL)


def panic():
    """Let the guest's kernel panic."""
    (guest,) = [one for one in gc.get_objects() if isinstance(one, VirtualMachine)]
    try:
        guest.run(["sh"], stdin="echo 1 >/proc/sys/kernel/sysrq; echo c >/proc/sysrq-trigger")
    except Exception:
        pass


def in_the_trial(action, *args):
    """Do it while the trial that now begins runs."""
    thread = threading.Timer(0.6, action, args)
    thread.daemon = True
    thread.start()


class Raising:
    """Pass some frames, more than are sent before a trial, and then raise."""

    def __init__(self):
        self.seen = 0

    def __call__(self, batch):
        self.seen += len(batch.octets)
        if self.seen > 200:
            self.enough(batch)
        return 1 - batch.nic

    def enough(self, batch):
        raise ValueError(f"cannot do with {len(batch.octets)} frames")


class Forever(Raising):
    def enough(self, batch):
        while True:
            pass
'''

HEAD = """
import os
from pathlib import Path
from pytest_nfv import *
import faults

HERE = str(Path(__file__).parent)
EASY = 1 * kpps
"""


def outcomes(suite: Suite, *options: str, prefix: tuple[str, ...] = ()) -> dict[str, tuple[str, str]]:
    """Run the suite; return each test's outcome and message."""
    (suite.folder / "faults.py").write_text(FAULTS)
    _, text = suite.run("--durations=30", "--junitxml=junit.xml", "-rs", *options, prefix=prefix)
    found = {}
    try:
        cases = ElementTree.parse(suite.folder / "junit.xml").getroot().iter("testcase")
    except OSError:
        pytest.fail(text)
    for case in cases:
        name = case.get("name", "").partition("[")[0]
        found[name] = ("passed", text)
        for one in case:
            if one.tag in ("failure", "error", "skipped"):
                found[name] = (one.tag, f"{one.get('message')}\n{one.text}")
    return found


def check(found: Mapping[str, tuple[str, str]], wanted: Mapping[str, tuple[str, Collection[str]]]) -> None:
    """Every test ended as wanted, and its message has all words; none shows where in our own code it arose."""
    assert set(found) == set(wanted), found
    wrong = []
    for name, (outcome, words) in wanted.items():
        got, message = found[name]
        missing = [word for word in words if word not in message]
        shown = outcome != "passed" and "pytest_nfv/deployment" in message
        if got != outcome or missing or shown:
            wrong.append(f"--- {name}: {got}, without {missing}: {message}")
    assert not wrong, "\n".join(wrong)


def path_without(folder: Path, *programs: str) -> str:
    """Return a PATH with all programs of ours but some."""
    folder.mkdir()
    for place in os.environ["PATH"].split(os.pathsep):
        for entry in Path(place).iterdir() if Path(place).is_dir() else ():
            if entry.name not in programs and not (folder / entry.name).is_symlink():
                (folder / entry.name).symlink_to(entry)
    return str(folder)


def test_bad_input_is_told_before_anything_is_deployed(suite: Suite) -> None:
    (suite.folder / "routes.toml").write_text(
        '[[route]]\nprefix = "198.18.0.0/16"\nnic = 0\n\n[[route]]\nprefix = "198.18.0.0/16"\nnic = 1\n'
    )
    (suite.folder / "rules.toml").write_text(
        '[[rule]]\naction = "drop"\nprotocol = "udp"\ndestination_ports = 70000\n'
    )
    suite.write(
        HEAD
        + """
def test_overlap(deploy, vswitch):
    deploy(PVP(vswitch, VNF(L3Fwd(RouteTable.load(Path("routes.toml"))))))

def test_port(deploy, vswitch):
    deploy(PVP(vswitch, VNF(Firewall(RuleSet.load(Path("rules.toml"))))))

def test_no_file(deploy, vswitch):
    deploy(PVP(vswitch, VNF(L3Fwd(RouteTable.load(Path("nowhere.toml"))))))

def test_engine(deploy):
    deploy(PVP("ovs-dpdk", VNF(L2Fwd(), engine="xdp")))

def test_function(deploy, vswitch):
    deploy(PVP(vswitch, VNF(Firewall(10), engine="testpmd")))

def test_no_such_function(deploy, vswitch):
    deploy(PVP(vswitch, VNF(Own("faults:nothing", folder=HERE))))

def test_too_long(deploy, vswitch):
    deploy(Chain(vswitch, [VNF(L2Fwd())] * 65))
"""
    )
    found = outcomes(suite)
    check(
        found,
        {
            "test_overlap": ("failure", ["routes.toml", "198.18.0.0/16", "accepted: "]),
            "test_port": ("failure", ["rules.toml", "70000", "accepted: "]),
            "test_no_file": ("failure", ["nowhere.toml"]),
            "test_engine": ("failure", ["engine='xdp'", "ovs-dpdk", "accepted: numpy, testpmd"]),
            "test_function": ("failure", ["engine='testpmd'", "10 rules", "accepted: kernel, numpy"]),
            "test_no_such_function": ("failure", ["faults:nothing"]),
            "test_too_long": ("failure", ["65 VNFs", "accepted: 1 to 64"]),
        },
    )


def test_a_chain_that_takes_more_cores_than_there_are(suite: Suite) -> None:
    suite.write(
        HEAD
        + """
def test_spread(deploy, vswitch):
    vnfs = [VNF(L2Fwd())] * len(os.sched_getaffinity(0))
    assert deploy(Chain(vswitch, vnfs, placement="spread")).sustains(EASY, frame_size=64)
"""
    )
    words = ["cores: ", "device cores", "--nfv-oversubscribe"]
    check(outcomes(suite), {"test_spread": ("skipped", words)})
    check(outcomes(suite, "--nfv-oversubscribe", "-rA"), {"test_spread": ("passed", ["oversubscribed: "])})


def test_programs_that_are_missing(suite: Suite, needs: Callable[[str], None]) -> None:
    needs("vm")
    suite.write(
        HEAD
        + """
def test_nft(deploy, vswitch):
    deploy(PVP(vswitch, VNF(Firewall(10))))

def test_kernel(deploy, vswitch):
    deploy(PVP(vswitch, VNF(L2Fwd(), host="vm")))

def test_container(deploy, vswitch):
    deploy(PVP(vswitch, VNF(L2Fwd(), host="lxc")))

def test_still(deploy, vswitch):
    assert deploy(PVP(vswitch, VNF(L2Fwd()))).sustains(EASY, frame_size=64)
"""
    )
    path = path_without(suite.folder / "bin", "nft", "apt-get", "apt-cache", "lxc-start")
    prefix = ("env", f"PATH={path}", f"XDG_CACHE_HOME={suite.folder / 'empty'}")
    check(
        outcomes(suite, prefix=prefix),
        {
            "test_nft": ("skipped", ["nftables: ", "nft", "apt-get install nftables"]),
            "test_kernel": ("skipped", ["vm: ", "linux-image-cloud-amd64", "apt-get update"]),
            "test_container": ("skipped", ["lxc: ", "lxc-start not installed", "apt-get install lxc"]),
            "test_still": ("passed", []),
        },
    )


def test_kvm_that_is_not_permitted_is_told(suite: Suite, needs: Callable[[str], None]) -> None:
    needs("vm")
    suite.write("def test_nothing(deploy): pass\n")
    # A device in a file system that allows none: what a container without the right to it looks like.
    hide = (
        "set -e; mount -t tmpfs -o nodev,mode=755 nfv-test /mnt; mknod -m 666 /mnt/kvm c 10 232; "
        'touch /dev/kvm; mount --bind /mnt/kvm /dev/kvm; exec "$@"'
    )
    status, text = suite.run("--nfv-require=kvm", prefix=("unshare", "-m", "sh", "-c", hide, "sh"))
    assert status == pytest.ExitCode.USAGE_ERROR, text
    assert "/dev/kvm may not be opened" in text
    assert "TCG needs no KVM" in text


def test_what_dies_in_a_trial_is_an_error_with_its_last_words(suite: Suite, needs: Callable[[str], None]) -> None:
    for name in ("lxc", "testpmd", "ovs-dpdk"):
        needs(name)
    suite.write(
        HEAD
        + """
def test_numpy(deploy, vswitch):
    traffic = deploy(Chain(vswitch, [VNF(L2Fwd()), VNF(L2Fwd(), engine="numpy")]))
    faults.in_the_trial(faults.kill, "pytest_nfv.nfproc")
    traffic.sustains(EASY, frame_size=64)

def test_testpmd(deploy):
    traffic = deploy(PVP("ovs-dpdk", VNF(L2Fwd(), engine="testpmd")))
    faults.in_the_trial(faults.kill, "dpdk-testpmd")
    traffic.sustains(EASY, frame_size=64)

def test_raises(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(Own("faults:Raising", folder=HERE), engine="numpy")))
    traffic.sustains(EASY, frame_size=64)

def test_never_returns(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(Own("faults:Forever", folder=HERE), engine="numpy")))
    traffic.sustains(EASY, frame_size=64)

def test_container_of_a_process(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(L2Fwd(), engine="numpy", host="lxc")))
    faults.in_the_trial(faults.end_containers)
    traffic.sustains(EASY, frame_size=64)

def test_container_of_the_kernel(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(L2Fwd(), host="lxc")))
    faults.in_the_trial(faults.end_containers)
    traffic.sustains(EASY, frame_size=64)

def test_after_all(deploy, vswitch):
    assert deploy(PVP(vswitch, VNF(L2Fwd(), engine="numpy", host="lxc"))).sustains(EASY, frame_size=64)
"""
    )
    check(
        outcomes(suite, "--nfv-duration=1500ms"),
        {
            "test_numpy": ("failure", ["vnf1", "exit status -9"]),
            "test_testpmd": ("failure", ["vnf0", "testpmd", "signal 9"]),
            "test_raises": ("failure", ["vnf0", "faults:Raising", "ValueError: cannot do with", "faults.py"]),
            "test_never_returns": ("failure", ["vnf0", "function faults:Forever does not return"]),
            "test_container_of_a_process": ("failure", ["vnf0", "container ended"]),
            "test_container_of_the_kernel": ("failure", ["vnf0", "container ended"]),
            "test_after_all": ("passed", []),
        },
    )


def test_a_guest_that_dies_in_a_trial_is_an_error_with_its_last_words(
    suite: Suite, needs: Callable[[str], None]
) -> None:
    needs("vm")
    suite.write(
        HEAD
        + """
def test_panic(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(L2Fwd(), host="vm")))
    faults.in_the_trial(faults.panic)
    traffic.sustains(0.5 * kpps, frame_size=64)

def test_killed(deploy, vswitch):
    traffic = deploy(PVP(vswitch, VNF(L2Fwd(), host="vm")))
    faults.in_the_trial(faults.kill, "qemu-system-x86_64")
    traffic.sustains(0.5 * kpps, frame_size=64)
"""
    )
    check(
        outcomes(suite, "--nfv-duration=1500ms"),
        {
            "test_panic": ("failure", ["vnf0", "its guest is gone: Kernel panic", "sysrq triggered crash"]),
            "test_killed": ("failure", ["vnf0", "QEMU was ended by signal 9"]),
        },
    )


ALL_KINDS = (
    HEAD
    + """
FIRST = {"linux-bridge": VNF(L2Fwd(), engine="kernel"), "ovs-dpdk": VNF(L2Fwd(), engine="numpy")}

def test_long(deploy, vswitch):
    vnfs = [FIRST[vswitch.name], VNF(L2Fwd(), engine="numpy", host="lxc"), VNF(L2Fwd(), host="vm")]
    traffic = deploy(Chain(vswitch, vnfs[:LENGTH]))
    open("deployed", "w").close()
    assert traffic.sustains(0.5 * kpps, frame_size=64)
"""
)


@pytest.mark.parametrize("how", ["kill -9", "Ctrl-C", "kill -9 of the agent"])
@pytest.mark.parametrize("switch", ["linux-bridge", "ovs-dpdk"])
def test_a_run_that_ends_under_load_leaves_nothing(
    suite: Suite, needs: Callable[[str], None], switch: str, how: str
) -> None:
    for name in ("lxc", "vm", switch):
        needs(name)
    (suite.folder / "faults.py").write_text(FAULTS)
    # A guest by TCG beside threads that poll boots for 10 s: once is enough there.
    guest = switch == "linux-bridge" or how == "kill -9"
    suite.write(ALL_KINDS.replace("LENGTH", "3" if guest else "2"))
    process = suite.start(
        f"--nfv-vswitch={switch}", "--nfv-duration=4s" if "agent" in how else "--nfv-duration=30s"
    )
    try:
        wait_for(lambda: (suite.folder / "deployed").exists() or process.poll() is not None, "deployed", 60)
        time.sleep(0.5)  # in the trial
        if how == "kill -9 of the agent":
            os.kill(agent_of(process.pid), signal.SIGKILL)
        else:
            process.send_signal(signal.SIGKILL if how == "kill -9" else signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    wanted = {"kill -9": -signal.SIGKILL, "Ctrl-C": pytest.ExitCode.INTERRUPTED, "kill -9 of the agent": 1}
    assert process.returncode == wanted[how], out
    if "agent" in how:
        assert "the run's agent is broken" in out


def agent_of(parent: int) -> int:
    """Return the process id of the agent that a pytest started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    (found,) = [
        int(line.split()[0])
        for line in listed.splitlines()
        if int(line.split()[1]) == parent and "pytest_nfv.hosts.agent" in line
    ]
    return found
