"""Addresses of far hosts, and what ~/.ssh/config says of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError
from pytest_nfv.hosts.ssh import SshHost
from pytest_nfv.hosts.ssh_config import Address, config_text, known_hosts
from pytest_nfv.model.machine import Machine


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("dut1", Address("dut1")),
        ("root@dut1.example.org:2222", Address("dut1.example.org", "root", 2222)),
        ("[2001:db8::1]:22", Address("2001:db8::1", "", 22)),
        ("192.0.2.7", Address("192.0.2.7")),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert Address.of(text) == address


@pytest.mark.parametrize(
    "text", ["", "-oProxyCommand=touch ran", "a b", "a@b@c", "a:0", "a:70000", "2001:db8::1", "a:"]
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"accepted: \[user@\]host\[:port\]"):
        SshHost(text, name="dut")


@settings(max_examples=200)
@given(text=st.text(max_size=30) | st.from_regex(r"\A[-$`;|&(){}a-z@:. /\n]+\Z"))
def test_no_host_of_a_testbed_file_is_an_option_or_a_command(text: str) -> None:
    try:
        machine = Machine("dut", address=text)
    except ConfigurationError:
        return
    if machine.address:
        told = Address.of(machine.address)
        assert not told.host.startswith("-")
        assert not set(told.host + told.user) & set(" \n\t$`;|&(){}<>'\"\\*?!~#")


def test_included_files_come_in_their_place(tmp_path: Path) -> None:
    (tmp_path / "more.d").mkdir()
    (tmp_path / "more.d" / "1.conf").write_text("Host one\n  Port 1")
    (tmp_path / "more.d" / "2.conf").write_text("Host two\n  Port 2\n")
    (tmp_path / "config").write_text('include more.d/*.conf "absent file"\nHost *\n  Port 3\n')
    words = " ".join(config_text(tmp_path / "config").split())
    assert words == "Host one Port 1 Host two Port 2 Host * Port 3"


def test_files_that_include_each_other_end(tmp_path: Path) -> None:
    (tmp_path / "config").write_text("Include config\nHost *\n")
    assert config_text(tmp_path / "config").count("Host *") == 17


def test_configuration_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"absent: No such file or directory; accepted: as ssh -F"):
        config_text(tmp_path / "absent")


def test_known_hosts_are_those_that_are_there(tmp_path: Path) -> None:
    (tmp_path / "one").touch()
    assert known_hosts(f"{tmp_path}/one {tmp_path}/absent", "/dev/null") == [tmp_path / "one"]


def test_no_password_is_looked_for_and_no_key_but_a_known_one_is_taken(tmp_path: Path) -> None:
    from pytest_nfv.hosts import ssh_connect

    config = tmp_path / "config"
    config.write_text(
        "Host dut\n  HostName 192.0.2.7\n  User lab\n  Port 2222\n  StrictHostKeyChecking no\n  ProxyJump gate\n"
    )
    prepared = ssh_connect._prepared(Address.of("dut"), config)
    assert (prepared.host, prepared.user, prepared.port) == ("192.0.2.7", "lab", 2222)
    for hop in (prepared, prepared.gateway):
        assert "password" not in hop.connect_kwargs
        assert "AutoAdd" not in type(hop.client._policy).__name__
        assert hop.connect_timeout == ssh_connect.CONNECT_S
