"""What every host promises, asked of every host that this machine can offer."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from pytest_nfv.errors import CapabilityMissing, CommandError
from pytest_nfv.hosts.facts import read_facts
from pytest_nfv.hosts.lab import Lab
from pytest_nfv.hosts.local import LocalHost
from pytest_nfv.hosts.protocol import Host, MachineHost, Process
from pytest_nfv.hosts.run_id import RUN_VARIABLE, new_run_id
from tests.functional.ssh_lab import SshLab, ssh_lab

DEADLINE_S = 20.0
ECHO = "import sys\nfor line in sys.stdin: print('got', line, end='', flush=True)"


def python(code: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", code]


@pytest.fixture(scope="module")
def lab(needs: Callable[[str], None], tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshLab]:
    needs("sshd")
    with ssh_lab(tmp_path_factory.mktemp("ssh")) as made:
        yield made


@pytest.fixture(params=["local", "namespace", "ssh"])
def host(
    request: pytest.FixtureRequest, tmp_path: Path, lacks: Callable[[CapabilityMissing], NoReturn]
) -> Iterator[MachineHost]:
    run_id = new_run_id()
    local = LocalHost(run_id)
    if request.param == "local":
        yield local
        return
    if request.param == "ssh":
        far = request.getfixturevalue("lab").ssh("dut", run_id)
        yield far
        far.close()
        return
    try:
        lab = Lab(local, run_id, directory=tmp_path)
    except CapabilityMissing as error:
        lacks(error)
    try:
        yield lab.namespace("gen")
    finally:
        lab.close()


def test_output_and_status_come_back(host: Host) -> None:
    done = host.run(python("import sys; print(sys.stdin.read() + 'ü'); sys.exit(3)"), stdin="in", check=False)
    assert (done.status, done.stdout, done.stderr) == (3, "inü\n", "")


def test_failure_shows_host_command_status_and_stderr(host: Host) -> None:
    argv = python("import sys; print('no such bridge', file=sys.stderr); sys.exit(4)")
    with pytest.raises(CommandError) as caught:
        host.run(argv)
    assert caught.value.status == 4
    assert caught.value.argv == tuple(argv)
    assert f"on {host.name}: " in str(caught.value)
    assert "no such bridge" in str(caught.value)


def test_command_that_is_not_there(host: Host) -> None:
    for call in (host.run, host.start):
        with pytest.raises(CommandError, match="could not be started") as caught:
            call(["/nonexistent/switchd", "--daemon"])
        assert caught.value.status is None
        assert "No such file or directory" in str(caught.value)


def test_core_that_is_not_there(host: Host) -> None:
    with pytest.raises(CommandError, match="cannot pin to core 1023"):
        host.run(python("pass"), cores=[1023])


def test_deadline_ends_the_command_and_its_children(host: Host) -> None:
    token = f"token-{new_run_id()}"
    argv = [*python("import os, time; os.fork(); time.sleep(600)"), token]
    with pytest.raises(CommandError, match=r"not done after 0\.5 s"):
        host.run(argv, timeout_s=0.5)
    deadline = time.monotonic() + DEADLINE_S
    while left := [path for path in Path("/proc").glob("[0-9]*/cmdline") if token in text_of(path)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def text_of(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""  # ended meanwhile


def test_pinned_where_asked(host: Host) -> None:
    core = max(os.sched_getaffinity(0))
    done = host.run(python("import os; print(sorted(os.sched_getaffinity(0)))"), cores=[core])
    assert done.stdout == f"[{core}]\n"


def test_conversation_in_the_background(host: Host) -> None:
    process = host.start(python(ECHO))
    try:
        process.stdin.write("one\n")
        process.stdin.flush()
        assert process.stdout.readline() == "got one\n"
        assert process.poll() is None
    finally:
        status = process.stop()
    assert status == 0
    assert process.poll() == 0
    assert process.stop() == 0


def test_stop_asks_then_kills(host: Host) -> None:
    sleeper = host.start(python("import time; time.sleep(600)"))
    assert sleeper.stop(0.3) == -signal.SIGTERM
    stubborn = host.start(
        python(
            "import signal, time; signal.signal(15, lambda *_: None); print(1, flush=True)\nwhile 1: time.sleep(9)"
        )
    )
    assert stubborn.stdout.readline() == "1\n"
    assert stubborn.stop(0.3) == -signal.SIGKILL


def test_stderr_is_kept_bounded_while_the_command_never_waits(host: Host) -> None:
    code = "import sys\nfor n in range(50_000): print('line', n, file=sys.stderr)\nprint('done', flush=True)"
    process = host.start(python(code))
    assert process.stdout.readline() == "done\n"
    assert process.stop() == 0
    lines = process.stderr_tail().splitlines()
    assert lines[-1] == "line 49999"
    assert len(lines) < 1000


def test_environment_is_added_to_and_marked_with_the_run(host: Host) -> None:
    code = f"import os; print(os.environ['EXTRA'], os.environ['{RUN_VARIABLE}'], 'PATH' in os.environ)"
    process = host.start(python(code), env={"EXTRA": "more"})
    extra, run_id, has_path = process.stdout.readline().split()
    process.stop()
    assert (extra, has_path) == ("more", "True")
    assert run_id.isalnum()


def test_signals_of_the_terminal_do_not_reach_it(host: Host) -> None:
    process = host.start(python("import time; time.sleep(600)"))
    try:
        assert os.getsid(process.pid) == process.pid != os.getsid(0)
    finally:
        process.stop(0.1)


def test_broken_pipes_end_commands_as_a_shell_would(host: Host) -> None:
    done = host.run(["grep", "SigIgn", "/proc/self/status"])
    assert int(done.stdout.split()[1], 16) & 1 << (signal.SIGPIPE - 1) == 0


def test_files(host: Host, tmp_path: Path) -> None:
    path = str(tmp_path / "small")
    host.write_text(path, "42\n")
    assert host.read_text(path) == "42\n"
    with pytest.raises(FileNotFoundError):
        host.read_text(str(tmp_path / "absent"))
    with pytest.raises(OSError, match="absent"):
        host.write_text(str(tmp_path / "absent" / "small"), "")


def test_files_at_once(host: MachineHost, tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    paths = [str(tmp_path / "one"), str(tmp_path / "absent"), "/proc/self/status", str(tmp_path)]
    texts = host.read_texts(paths)
    assert set(texts) == {paths[0], paths[2]}
    assert texts[paths[0]] == "1"
    assert "Cpus_allowed_list" in texts[paths[2]]


def test_files_are_copied_whole_with_their_mode(host: MachineHost, tmp_path: Path) -> None:
    ours, there, back = tmp_path / "ours", tmp_path / "-there $(id)'\n", tmp_path / "back"
    ours.write_bytes(os.urandom(300_000))
    ours.chmod(0o750)
    host.put(ours, str(there))
    assert there.stat().st_mode & 0o777 == 0o750
    host.get(str(there), back)
    assert back.read_bytes() == ours.read_bytes()
    with pytest.raises(FileNotFoundError):
        host.put(ours, str(tmp_path / "absent" / "file"))
    with pytest.raises(FileNotFoundError):
        host.get(str(tmp_path / "absent"), back)
    with pytest.raises(FileNotFoundError):
        host.put(tmp_path / "absent", str(there))
    assert {path.name for path in tmp_path.iterdir()} >= {"ours", there.name, "back"}
    assert not list(tmp_path.glob(".*"))


def test_facts_are_its_own(host: MachineHost) -> None:
    facts = read_facts(host)
    assert facts.kernel == os.uname().release
    assert facts.cores_online


def test_what_outlives_us_sees_its_stdin_end(host: MachineHost) -> None:
    process = host.start_unbound(python("import sys; sys.stdin.read(); sys.exit(7)"))
    assert process.poll() is None
    assert process.stop(DEADLINE_S) == 7


def test_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = f"""
import sys, time
from pytest_nfv.hosts.local import LocalHost
process = LocalHost().start([{sys.executable!r}, "-c", "import time; time.sleep(600)"])
print(process.pid, flush=True)
time.sleep(600)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        handle = os.pidfd_open(child)
        parent.kill()
    try:
        assert ended(handle), f"process {child} outlived its parent"
    finally:
        os.close(handle)


def ended(handle: int) -> bool:
    return bool(select.select([handle], [], [], DEADLINE_S)[0])


def test_tail_of_one_that_ended_by_itself_is_whole(host: Host) -> None:
    process: Process = host.start(python("import sys; sys.exit('last words')"))
    deadline = time.monotonic() + DEADLINE_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert process.stderr_tail() == "last words\n"
    assert process.stop() == 1
