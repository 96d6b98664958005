"""The asking end of a run's agent, on this machine or on another host: started, asked, closed.

Each request has a deadline. An agent that does not answer in time, answers nonsense or ends is broken, and every
later request says so.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import package, remains, userns
from pytest_nfv.hosts.local import LocalProcess, piped
from pytest_nfv.hosts.marks import Mark, runtime_directory
from pytest_nfv.hosts.protocol import MachineHost, Process
from pytest_nfv.hosts.reap import REAP_DEADLINE_S
from pytest_nfv.hosts.talk import SILENCE_S, Talk

START_DEADLINE_S = 30.0
ANSWER_DEADLINE_S = 15.0


class AgentLink(Protocol):
    """One agent.

    Attributes:
        pid: its process, on its host; rootless: it works inside a user namespace.
        directory: the run's own directory on its host, for sockets and logs.
    """

    pid: int
    rootless: bool
    directory: Path

    @property
    def broken(self) -> str:
        """Why it is of no use any more: it ended, or was lost; empty while it is of use."""
        ...

    def ask(self, op: str, **arguments: Any) -> Any:
        """Return the answer to a request.

        Raises:
            CapabilityMissing: the host lacks something.
            DeploymentError: refused, with the reason; or the agent is broken or closed.
            OSError: a file could not be read or written.
        """
        ...

    def close(self) -> None:
        """Have everything put back and end the agent; safe to call twice.

        Raises:
            DeploymentError: something could not be put back; the reaper of the next run will try again.
        """
        ...


class LocalLink:
    """Implements `AgentLink` on this machine. The run's mark is held by this process and by the agent."""

    def __init__(self, run_id: str, rootless: bool | None = None, directory: Path | None = None) -> None:
        """Mark the run as alive and start its agent.

        Args:
            run_id: from `run_id.new_run_id`.
            rootless: work inside a user namespace; None does so only where this process lacks the rights.
            directory: where marks of runs are; this user's where not given.

        Raises:
            CapabilityMissing: no network namespaces for us here; says which setting forbids them.
            DeploymentError: the agent did not start.
        """
        self.run_id = run_id
        self.rootless = not userns.privileged() if rootless is None else rootless
        self._mark = Mark.make(run_id, directory or runtime_directory())
        try:  # directory: the run's own, for sockets and logs; short, as a socket's path may have 107 octets
            self.directory = self._mark.make_directory()
            self._agent = self._start()
        except DeploymentError:
            self._mark.remove()
            raise
        except OSError as error:
            remains.remove_directory(self.directory)
            self._mark.remove()
            raise DeploymentError(f"the run's agent could not be started: {error}") from error
        self.pid = self._agent.pid
        self._talk = Talk(self._agent, "the run's agent")
        try:
            self._talk.exchange(None, START_DEADLINE_S)
        except BaseException:  # Ctrl-C too: the agent and the mark must not stay
            self.close()
            raise

    def _start(self) -> LocalProcess:
        # Not by the launcher: a death signal would end the agent with us, and it has to outlive us to undo it all.
        argv = [sys.executable, "-P", "-m", "pytest_nfv.hosts.agent", "--run", self.run_id]
        argv += ["--parent", str(os.getpid()), "--mark", str(self._mark.path)]
        argv += ["--rootless"] if self.rootless else []
        return LocalProcess(piped(argv, keep=(self._mark.descriptor,)))

    @property
    def broken(self) -> str:
        """Why it is of no use any more."""
        return self._talk.broken or _ended(self._agent, "the run's agent")

    def ask(self, op: str, **arguments: Any) -> Any:
        """Return the answer to a request."""
        if self._mark.descriptor < 0:
            raise DeploymentError(f"{op}: the lab of run {self.run_id} is closed")
        return self._talk.exchange({"op": op, **arguments}, ANSWER_DEADLINE_S)

    def close(self) -> None:
        """Have everything put back and end the agent; safe to call twice."""
        if self._mark.descriptor < 0:
            return
        trouble: list[str] = []
        if not self._talk.broken:
            try:
                trouble += self._talk.exchange({"op": "close"}, ANSWER_DEADLINE_S)
            except DeploymentError as error:
                trouble.append(str(error))
        self._agent.stop(ANSWER_DEADLINE_S)
        if self._talk.broken:
            trouble = self._put_back_instead()
        if trouble:
            self._mark.release()
            raise DeploymentError(f"run {self.run_id} could not be put back: {'; '.join(trouble)}")
        self._mark.remove()

    def _put_back_instead(self) -> list[str]:
        """Do the agent's last duty where it died; return what went wrong."""
        _, trouble = remains.send_home(self.run_id, self.directory)
        return trouble + remains.put_back(self.run_id, self.directory)[1]


class FarLink:
    """Implements `AgentLink` over the channel of a host; the agent marks the run there itself.

    It hears a heartbeat, and puts everything back where it hears nothing for `SILENCE_S`: of a cable that was cut,
    its end of the connection knows nothing for hours.
    """

    def __init__(self, host: MachineHost, run_id: str) -> None:
        """Start it, by the interpreter that has this package there.

        Raises:
            CapabilityMissing: the host has no network namespaces for us.
            DeploymentError: it did not come up, or has another version of this package.
        """
        self.run_id = run_id
        self._host = host
        python = host.python
        argv = [python, "-P", "-m", "pytest_nfv.hosts.agent", "--run", run_id, "--silence", str(SILENCE_S)]
        with package.starting(host):
            self._agent = host.start_unbound(argv)
        self._talk = Talk(self._agent, f"the run's agent on {host.name}", beats=True)
        self._closed = False
        try:
            with package.starting(host):
                told = self._talk.exchange(None, START_DEADLINE_S)
            package.check_found(host, python, str(told.get("version", "of another version")))
        except BaseException:
            self._talk.over()
            self._agent.stop()
            raise
        self.pid, self.rootless = int(told["pid"]), bool(told["rootless"])
        self.directory = Path(told["directory"])

    @property
    def broken(self) -> str:
        """Why it is of no use any more; a lost connection shows at once, without a request."""
        return self._talk.broken or _ended(self._agent, f"the run's agent on {self._host.name}")

    def ask(self, op: str, **arguments: Any) -> Any:
        """Return the answer to a request; an error names the host."""
        if self._closed:
            raise DeploymentError(f"{op}: the lab of run {self.run_id} on {self._host.name} is closed")
        with package.named(self._host):
            return self._talk.exchange({"op": op, **arguments}, ANSWER_DEADLINE_S)

    def close(self) -> None:
        """Have everything put back and end the agent; where it cannot be reached, by the reaper over there."""
        if self._closed:
            return
        self._closed = True
        self._talk.over()
        trouble: list[str] = []
        if not self._talk.broken:
            try:
                trouble += self._talk.exchange({"op": "close"}, ANSWER_DEADLINE_S)
            except DeploymentError as error:
                self._talk.broken = str(error)
        with suppress(DeploymentError):  # a lost connection: the agent ends by itself
            self._agent.stop(ANSWER_DEADLINE_S)
        if self._talk.broken:
            trouble = self._put_back_instead()
        if trouble:
            raise DeploymentError(
                f"run {self.run_id} on {self._host.name} could not be put back: {'; '.join(trouble)}"
            )

    def _put_back_instead(self) -> list[str]:
        """Connect once more and have this one run reaped; return what went wrong."""
        try:
            argv = [self._host.python, "-P", "-m", "pytest_nfv", "reap", "--run", self.run_id]
            self._host.run(argv, timeout_s=REAP_DEADLINE_S)
        except DeploymentError as error:
            return [f"{self._talk.broken}; and it could not be reaped: {error}"]
        return []


def _ended(agent: Process, who: str) -> str:
    """Return how an agent ended; empty where it has not."""
    status = agent.poll()
    return "" if status is None else f"{who} is gone: {agent.stderr_tail().strip() or f'exit status {status}'}"
