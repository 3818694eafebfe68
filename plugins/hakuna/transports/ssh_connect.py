# SPDX-License-Identifier: Apache-2.0
"""Opens ssh connections: verified host keys, jump hosts, patience with a busy sshd, and words for what went wrong."""

from __future__ import annotations

import contextlib
import functools
import logging
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hakuna.evidence import NodeTrouble, Trouble
from hakuna.inventory.model import Node, Ssh
from hakuna.transports import known_hosts as known
from hakuna.transports.known_hosts import HostKey, KnownHosts
from hakuna.transports.patience import PATIENCE, BusyError, Ramp, pauses

if TYPE_CHECKING:
    import fabric  # type: ignore[import-untyped]  # fabric ships no types
    import paramiko

_IMPORTING = threading.Lock()

#: Seconds for the whole of an authentication (a directory service may be slow).
AUTH_TIMEOUT = 30.0


class SshTroubleError(Exception):
    """A connection or session could not be had. ``lasting``: it is not worth another try in this run."""

    def __init__(self, trouble: NodeTrouble, *, lasting: bool = True) -> None:
        super().__init__(trouble.detail)
        self.trouble = trouble
        self.lasting = lasting


@dataclass(frozen=True)
class _Target:
    """One hop: who it is for ("node-a"), and how it is reached."""

    where: str
    host: str
    user: str | None
    port: int | None
    ssh: Ssh
    hops: tuple[str, ...] = ()


class Connector:
    """Opens connections for one run. Jump hosts' connections are shared by all nodes behind them.

    ``patience``: see PATIENCE.
    """

    def __init__(self, log: logging.Logger, patience: float = PATIENCE) -> None:
        self._log = log
        self._patience = patience
        self._lock = threading.Lock()
        self._ramps: dict[tuple[object, ...], Ramp] = {}
        self._files: dict[tuple[str, ...], KnownHosts] = {}
        self._accepted: dict[str, HostKey] = {}
        self._jumps: dict[tuple[object, ...], tuple[threading.Lock, list[fabric.Connection | SshTroubleError]]] = {}

    def connect(self, node: Node) -> fabric.Connection:
        """An open, verified connection to ``node``.

        Raises:
            SshTroubleError: there is none to be had.
        """
        hops = tuple(h.strip() for h in node.ssh.jump.split(",") if h.strip())
        return self._open(_Target(node.name, node.address, node.ssh.user or None, node.ssh.port, node.ssh, hops))

    def close(self) -> None:
        """Close the jump hosts' connections."""
        for _, held in list(self._jumps.values()):
            for connection in held:
                if not isinstance(connection, SshTroubleError):
                    connection.client.close()

    def _open(self, target: _Target) -> fabric.Connection:
        import fabric  # see load_fabric

        quiet_paramiko()
        kwargs: dict[str, Any] = {
            "banner_timeout": target.ssh.connect_timeout,
            "auth_timeout": AUTH_TIMEOUT,
            "timeout": max(target.ssh.connect_timeout, AUTH_TIMEOUT),
            "look_for_keys": not target.ssh.key,
        }
        if target.ssh.key:
            kwargs["key_filename"] = [str(Path(target.ssh.key).expanduser())]
        try:
            # One for each: fabric rewrites it while it makes a connection, and others would read it half-made.
            config = fabric.Config(lazy=True, ssh_config=self._ssh_config)
            # gateway=False: jump hosts are opened here, as fabric would take any host key of theirs.
            connection = fabric.Connection(
                target.host, user=target.user, port=target.port, config=config, connect_kwargs=kwargs, gateway=False
            )
        except Exception as error:  # the ssh configuration's reader raises a dozen kinds
            detail = f"{target.where}: the ssh configuration can not be read: {error}"
            raise SshTroubleError(NodeTrouble(Trouble.UNREACHABLE, detail, "mend ~/.ssh/config")) from error
        connection.connect_timeout = None  # ours is in connect_kwargs, with its fractions
        hops = target.hops
        settings = connection.ssh_config
        if not hops and settings.get("proxyjump", "none") != "none":
            hops = tuple(h.strip() for h in settings["proxyjump"].split(",") if h.strip())
            _, first, first_port = _split_hop(hops[0])
            # A pattern that covers the jump host too: it is not reached through itself.
            if (first, first_port or 22) == (connection.host, int(connection.port)):
                hops = ()
        ramp = self._ramp((hops, connection.host, connection.port))
        last = ""
        for pause in pauses(self._patience):
            try:
                with ramp.turn():
                    self._login(target, connection, hops)
            except BusyError as busy:  # noqa: PERF203  # each try is a whole login
                last = str(busy)
                self._log.info("%s: %s; trying again", target.where, last)
                time.sleep(pause)
            else:
                return connection
        detail = (
            f"{target.where}: sshd at {connection.host}:{connection.port} keeps hanging up before the login ({last})"
        )
        fix = "raise MaxStartups in its sshd_config (and look for penalties or a limit in a firewall)"
        raise SshTroubleError(NodeTrouble(Trouble.BUSY, detail, fix), lasting=False)

    @functools.cached_property
    def _ssh_config(self) -> paramiko.SSHConfig:
        import fabric  # see load_fabric

        # Lazy: fabric's own files and variables are not meant for this; the ssh configuration is.
        config = fabric.Config(lazy=True)
        config.load_ssh_config()
        settings: paramiko.SSHConfig = config.base_ssh_config
        return settings

    def _ramp(self, key: tuple[object, ...]) -> Ramp:
        with self._lock:
            return self._ramps.setdefault(key, Ramp())

    def _known(self, settings: dict[str, Any], ssh: Ssh) -> tuple[KnownHosts, str]:
        """The known hosts for one connection, and the file that a new key belongs into."""
        if ssh.known_hosts:
            user = (ssh.known_hosts,)
        else:
            user = tuple(settings.get("userknownhostsfile", known.USER_FILE).split())
        files = (*user, *known.SYSTEM_FILES)
        with self._lock:
            if files not in self._files:
                self._files[files] = KnownHosts(files)
            return self._files[files], user[0]

    def _login(self, target: _Target, connection: fabric.Connection, hops: tuple[str, ...]) -> None:
        """One try.

        Raises:
            BusyError: the other side hung up before the login.
            SshTroubleError: anything else.
        """
        from paramiko.ssh_exception import (  # see load_fabric
            AuthenticationException,
            BadHostKeyException,
            IncompatiblePeer,
            SSHException,
        )

        host, port, where = connection.host, int(connection.port), target.where
        hosts, file = self._known(connection.ssh_config, target.ssh)
        name = known.entry_name(host, port)
        store = connection.client.get_host_keys()
        keys = hosts.keys(name)
        accepted = self._accepted.get(name)
        for key in (*keys, *((accepted,) if accepted else ())):
            with contextlib.suppress(SSHException, ValueError):  # a type that paramiko does not know can not be offered
                store.add(name, key.kind, _paramiko_key(key))
        connection.client.set_missing_host_key_policy(self._policy(where, host, port, target.ssh, file))
        connection.connect_kwargs["sock"] = self._dial(target, connection, hops)
        began = time.monotonic()
        try:
            connection.open()
            self._refuse_revoked(connection, hosts, where)
        except SshTroubleError:
            connection.client.close()
            raise
        except BadHostKeyException as error:
            connection.client.close()
            shown, expected = _host_key(error.key), _host_key(error.expected_key)
            raise SshTroubleError(known.changed_key(where, host, port, shown, expected, file)) from error
        except (SSHException, EOFError, OSError, ValueError) as error:
            connection.client.close()
            words = str(error).strip() or type(error).__name__
            if isinstance(error, (AuthenticationException, FileNotFoundError, PermissionError, ValueError)) or (
                "No authentication methods" in words
            ):
                raise SshTroubleError(_auth_trouble(target, connection, words)) from error
            if isinstance(error, IncompatiblePeer):
                detail = f"{where}: no algorithm in common with sshd at {name}: {words}"
                raise SshTroubleError(NodeTrouble(Trouble.AUTH, detail)) from error
            if "banner" in words and time.monotonic() - began >= target.ssh.connect_timeout * 0.9:
                detail = (
                    f"{where}: {name} takes connections, but no sshd answers within {target.ssh.connect_timeout:g} s"
                )
                raise SshTroubleError(NodeTrouble(Trouble.UNREACHABLE, detail, _try_by_hand(host, port))) from error
            raise BusyError(words[:200]) from error

    def _dial(self, target: _Target, connection: fabric.Connection, hops: tuple[str, ...]) -> Any:
        """A socket, or what serves as one, to the host's sshd."""
        host, port, where = connection.host, int(connection.port), target.where
        if hops:
            return self._dial_through(target, hops, host, port)
        command = connection.ssh_config.get("proxycommand", "none")
        if command != "none":
            from paramiko.proxy import ProxyCommand  # see load_fabric

            return ProxyCommand(command)
        try:
            return dial(host, port, target.ssh.connect_timeout)
        except ConnectionResetError as error:
            raise BusyError("connection reset") from error
        except OSError as error:
            words = _os_words(error, target.ssh.connect_timeout)
            detail = f"{where}: {known.entry_name(host, port)} is not reached: {words}"
            raise SshTroubleError(NodeTrouble(Trouble.UNREACHABLE, detail, _try_by_hand(host, port))) from error

    def _dial_through(self, target: _Target, hops: tuple[str, ...], host: str, port: int) -> paramiko.Channel:
        from paramiko.ssh_exception import ChannelException, SSHException  # see load_fabric

        jump = self._jump(target, hops)
        via = f"{target.where}: {known.entry_name(host, port)} is not reached through jump host {hops[-1]}"
        try:
            transport = jump.transport
            channel: paramiko.Channel = transport.open_channel(
                "direct-tcpip", (host, port), ("127.0.0.1", 0), timeout=target.ssh.connect_timeout
            )
        except ChannelException as error:
            if error.code == 4:  # noqa: PLR2004  # resource shortage (RFC 4254, 5.1)
                raise BusyError(f"jump host {hops[-1]}: {error.text}") from error
            fix = "AllowTcpForwarding must be on in the jump host's sshd_config" if error.code == 1 else ""
            raise SshTroubleError(NodeTrouble(Trouble.UNREACHABLE, f"{via}: {error.text}", fix)) from error
        except (SSHException, EOFError, OSError) as error:
            if not jump.is_connected:
                raise BusyError(f"jump host {hops[-1]} closed the connection") from error
            raise SshTroubleError(NodeTrouble(Trouble.UNREACHABLE, f"{via}: {error}")) from error
        else:
            return channel

    def _jump(self, target: _Target, hops: tuple[str, ...]) -> fabric.Connection:
        """The shared connection to the last of ``hops``; its failure is everyone's, and costs its time once."""
        key = (hops, target.ssh.key, target.ssh.known_hosts, target.ssh.host_key)
        with self._lock:
            lock, held = self._jumps.setdefault(key, (threading.Lock(), []))
        with lock:
            if held and not isinstance(held[0], SshTroubleError) and held[0].is_connected:
                return held[0]
            if held and isinstance(held[0], SshTroubleError):
                raise held[0]
            user, host, port = _split_hop(hops[-1])
            try:
                opened = self._open(_Target(f"jump host {hops[-1]}", host, user, port, target.ssh, hops[:-1]))
            except SshTroubleError as error:
                if error.lasting:
                    held[:] = [error]
                raise
            held[:] = [opened]
            return opened

    def _policy(self, where: str, host: str, port: int, ssh: Ssh, file: str) -> Any:
        """What paramiko asks about a key that no file knows."""
        from paramiko import MissingHostKeyPolicy  # see load_fabric

        accepted, log = self._accepted, self._log

        class Policy(MissingHostKeyPolicy):
            def missing_host_key(self, _client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
                shown = _host_key(key)
                if ssh.host_key != "accept-unknown":
                    raise SshTroubleError(known.unknown_key(where, host, port, shown, file))
                # Accepted for this run: the same host must show the same key again.
                accepted.setdefault(hostname, shown)
                log.warning("%s: unknown host key accepted: %s", where, shown)

        return Policy()

    def _refuse_revoked(self, connection: fabric.Connection, hosts: KnownHosts, where: str) -> None:
        key = _host_key(connection.transport.get_remote_server_key())
        if hosts.revoked(key):
            raise SshTroubleError(known.revoked_key(where, connection.host, int(connection.port), key))


def dial(host: str, port: int, timeout: float) -> socket.socket:
    """A TCP connection to the first of the host's addresses that answers, within ``timeout`` for all of them.

    Raises:
        OSError: none answered; the first address's error.
    """
    end = time.monotonic() + timeout
    first: OSError | None = None
    for family, kind, protocol, _, address in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
        left = end - time.monotonic()
        if left <= 0:
            break
        made = socket.socket(family, kind, protocol)
        try:
            made.settimeout(left)
            made.connect(address)
            # A batch is several small writes and then an answer: without it, each waits for a delayed ACK (40 ms).
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as error:
            made.close()
            first = first or error
        else:
            return made
    raise first or TimeoutError


def load_fabric() -> None:
    """Import fabric, and paramiko with it, in one thread while the others wait.

    paramiko's modules import each other in circles. When several threads meet in such a circle, Python lets one of them
    see a half-made module instead of letting both wait for ever: with 64 nodes it ended in an ImportError.
    """
    with _IMPORTING:
        import fabric  # noqa: F401  # start-up budget: only a run that connects pays for it


def quiet_paramiko() -> None:
    """Keep paramiko's threads from writing to the terminal: what goes wrong is told as trouble."""
    logger = logging.getLogger("paramiko")
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())


def _split_hop(hop: str) -> tuple[str | None, str, int | None]:
    """User, host and port of "user@host:port" or "user@[v6]:port"."""
    user, _, place = hop.rpartition("@")
    if place.startswith("["):
        host, _, port = place[1:].partition("]")
        port = port.removeprefix(":")
    elif place.count(":") == 1:
        host, _, port = place.partition(":")
    else:
        host, port = place, ""
    return user or None, host, int(port) if port.isdigit() else None


def _paramiko_key(key: HostKey) -> paramiko.PKey:
    from paramiko import PKey  # see load_fabric

    return PKey.from_type_string(key.kind, key.blob)


def _host_key(key: paramiko.PKey) -> HostKey:
    return HostKey(key.get_name(), key.asbytes())


def _os_words(error: OSError, timeout: float) -> str:
    if isinstance(error, socket.gaierror):
        return f"unknown name ({error.strerror})"
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return (error.strerror or str(error) or type(error).__name__).lower()


def _try_by_hand(host: str, port: int) -> str:
    return f"ssh -p {port} {host} true"


def _auth_trouble(target: _Target, connection: fabric.Connection, words: str) -> NodeTrouble:
    import paramiko  # see load_fabric

    agent = paramiko.Agent()
    try:
        count = len(agent.get_keys())
    except paramiko.SSHException:
        count = 0
    finally:
        agent.close()
    tried = [f"agent ({count} keys)"]
    tried += [f"key file {name}" for name in connection.connect_kwargs.get("key_filename", ())]
    if connection.connect_kwargs.get("look_for_keys"):
        tried.append("the usual key files in ~/.ssh")
    host, port = connection.host, int(connection.port)
    return NodeTrouble(
        Trouble.AUTH,
        f"{target.where}: {connection.user}@{known.entry_name(host, port)} refused the login ({words[:200]}); "
        f"tried: {', '.join(tried)}",
        f"ssh-copy-id -p {port} {connection.user}@{host} (or ssh-add the key, or set ssh.user / ssh.key)",
    )
