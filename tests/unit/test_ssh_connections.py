"""Connections to a far host, without one: what is done when they are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import pytest

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts import ssh_link
from pytest_nfv.hosts.ssh import SshHost
from pytest_nfv.hosts.ssh_link import ConnectionLost


class Link:
    """Stands for a connection; the second one is lost while it is first used."""

    made: ClassVar[list[Link]] = []

    def __init__(self, name: str, address: str, python: str, config_file: Path | None) -> None:
        self.made.append(self)
        self.lost = ""
        self.token = f"token {len(self.made)}"
        self.hello = {"sshd": len(self.made), "born": "7"}
        self.ended: list[str] = []

    def ask(self, op: str, **arguments: Any) -> None:
        assert op == "end"
        if self is self.made[1]:
            self.lost = "cut again"
            raise ConnectionLost("dut: the connection was lost: cut again")
        self.ended.append(arguments["token"])

    def close(self) -> None:
        self.lost = "closed"


def test_what_a_lost_connection_left_is_ended_by_whichever_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh_link, "Link", Link)
    monkeypatch.setattr(Link, "made", [])
    host = SshHost("dut", name="dut")
    host.reconnect()
    Link.made[0].lost = "cut"
    with pytest.raises(DeploymentError, match="cut again"):
        host.reconnect()
    host.reconnect()
    assert sorted(Link.made[2].ended) == ["token 1", "token 2"]
    host.reconnect()
    assert len(Link.made) == 3
