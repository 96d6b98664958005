"""Connecting by SSH: fabric does it, as ~/.ssh/config says, with keys or an agent; nothing is ever asked for.

A host key that is not known, or another one than is known, is refused whatever the configuration says. Imported
when a far host is first used.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import paramiko
from fabric import Config, Connection

from pytest_nfv.errors import DeploymentError
from pytest_nfv.hosts.ssh_config import Address, config_text, known_hosts

CONNECT_S = 10.0
SILENT_MS = 5000
_KEEPALIVE = {
    socket.TCP_KEEPIDLE: 1,
    socket.TCP_KEEPINTVL: 1,
    socket.TCP_KEEPCNT: 5,
    socket.TCP_USER_TIMEOUT: SILENT_MS,
}


class _Refuse:
    """Says how to make a host known, once somebody has looked at its key."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def missing_host_key(self, client: Any, hostname: str, key: paramiko.PKey) -> NoReturn:
        raise DeploymentError(
            f"its host key is not known ({key.get_name()} {key.fingerprint}); compare it with the host's own, "
            f"then run `ssh {_bare(hostname)}` once and accept it, or `{_keyscan(hostname)} >> {self._file}`"
        )


def _keyscan(hostname: str) -> str:
    host, _, port = hostname.strip("[").partition("]:")
    return f"ssh-keyscan -p {port} {host}" if port else f"ssh-keyscan {host}"


def _bare(hostname: str) -> str:
    host, _, port = hostname.strip("[").partition("]:")
    return f"-p {port} {host}" if port else host


def connect(name: str, address: str, config_file: Path | None) -> Connection:
    """Return an open connection.

    Args:
        name: of the host, for messages.
        address: `[user@]host[:port]`.
        config_file: as ssh -F takes it; None: the user's and the system's.

    Raises:
        ConfigurationError: address or configuration file are wrong.
        DeploymentError: no connection: why, and what to do.
    """
    connection = _prepared(Address.of(address), config_file)
    where = f"{name} ({connection.user}@{connection.host}:{connection.port})"
    try:
        connection.open()
        _watch(connection)
    except DeploymentError as error:
        _closed(connection)
        raise DeploymentError(f"{where}: {error}") from error
    except (OSError, EOFError, paramiko.SSHException) as error:
        _closed(connection)
        raise DeploymentError(f"{where}: {_why(error, connection)}") from error
    except BaseException:  # Ctrl-C: no thread of it may stay
        _closed(connection)
        raise
    return connection


def _prepared(address: Address, config_file: Path | None) -> Connection:
    # Lazily: fabric's own files are not part of how this tool is set up.
    config = Config(ssh_config=paramiko.SSHConfig.from_text(config_text(config_file)), lazy=True)
    connection = Connection(address.host, user=address.user or None, port=address.port, config=config)
    hop: Connection | None = connection
    while isinstance(hop, Connection):
        _verified(hop)
        hop = hop.gateway
    return connection


def _verified(connection: Connection) -> None:
    """Set what holds for every hop: known keys only, deadlines, no password."""
    told = connection.ssh_config
    users = told.get("userknownhostsfile")
    for path in known_hosts(users, told.get("globalknownhostsfile")):
        connection.client.load_system_host_keys(str(path))
    file = Path((users or "~/.ssh/known_hosts").split()[0])
    connection.client.set_missing_host_key_policy(_Refuse(file))
    only_given = told.get("identitiesonly", "no").lower() == "yes"
    limits = dict.fromkeys(("banner_timeout", "auth_timeout", "channel_timeout"), CONNECT_S)
    connection.connect_kwargs.update(limits, allow_agent=not only_given, look_for_keys=not only_given)
    connection.connect_timeout = connection.connect_timeout or CONNECT_S


def _watch(connection: Connection) -> None:
    """Have the kernel notice within seconds that a cable is cut, on the hop that has the socket."""
    hop = connection
    while isinstance(hop.gateway, Connection):
        hop = hop.gateway
    sock = hop.transport.sock
    if isinstance(sock, socket.socket):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for option, value in _KEEPALIVE.items():
            sock.setsockopt(socket.IPPROTO_TCP, option, value)


def close(connection: Connection) -> None:
    """Close it, and the hops before it."""
    hop: Any = connection
    while isinstance(hop, Connection):
        _closed(hop)
        hop = hop.gateway


def _closed(connection: Connection) -> None:
    with suppress(OSError, EOFError, paramiko.SSHException):
        connection.client.close()
    connection.transport = None


def _why(error: Exception, connection: Connection) -> str:
    """Return what went wrong and what to do about it."""
    if isinstance(error, paramiko.BadHostKeyException):
        return (
            f"ITS HOST KEY HAS CHANGED: it shows {error.key.get_name()} {error.key.fingerprint}, and known is "
            f"{error.expected_key.get_name()} {error.expected_key.fingerprint}. Somebody may be in between, or it "
            f"was installed anew; where that is so: `ssh-keygen -R {error.hostname}`, then make it known again"
        )
    if isinstance(error, paramiko.PasswordRequiredException):
        return "its key has a passphrase, and nothing is asked for here; run `ssh-add` first"
    if isinstance(error, paramiko.AuthenticationException) or "No authentication methods" in str(error):
        return (
            f"no key was accepted for user {connection.user}; put one into its ~/.ssh/authorized_keys "
            "(ssh-copy-id), or name the right one (IdentityFile, User) in the ssh configuration"
        )
    if isinstance(error, paramiko.ssh_exception.NoValidConnectionsError):
        reasons = {str(one.strerror or one) for one in error.errors.values()}
        return f"cannot connect: {', '.join(sorted(reasons))}; is sshd running there, and is that its port?"
    if isinstance(error, TimeoutError):
        return f"cannot connect: no answer within {CONNECT_S:g} s; is it on, and is the way to it open?"
    return f"cannot connect: {error or type(error).__name__}"
