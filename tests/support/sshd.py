# SPDX-License-Identifier: Apache-2.0
"""A real sshd of the test's own, on a high port of 127.0.0.1, with keys and known_hosts of its own."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

#: sshd is in a folder that is not on everyone's PATH, and insists on being called by its whole path.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
MISSING = SSHD is None or shutil.which("ssh-keygen") is None


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def keygen(path: Path, kind: str = "ed25519") -> Path:
    """Make a key pair without passphrase at ``path`` (and ``path``.pub)."""
    subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", str(path)], check=True)
    return path


class Sshd:
    """One sshd. ``folder`` is its own; ``lines`` are added to (and, coming first, win over) its sshd_config.

    ``environment`` is set for every session (sshd's SetEnv), so ``{"PATH": "/stand-ins:/usr/bin:/bin"}`` puts other
    programs before the system's. ``user_key`` shares one user key between several servers. Use it as a context
    manager, or call ``start`` and ``stop``.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lines: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        user_key: Path | None = None,
    ) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.user = getpass.getuser()
        self.port = free_port()
        self.host_key = keygen(folder / "host_key")
        self.user_key = user_key or keygen(folder / "user_key")
        self.known_hosts = folder / "known_hosts"
        self.log = folder / "sshd.log"
        self._process: subprocess.Popen[bytes] | None = None
        authorized = folder / "authorized_keys"
        shutil.copyfile(f"{self.user_key}.pub", authorized)
        settings = [
            *lines,
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.host_key}",
            f"PidFile {folder / 'sshd.pid'}",
            f"AuthorizedKeysFile {authorized}",
            "StrictModes no",
            "UsePAM no",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "PermitRootLogin yes",
            "LogLevel VERBOSE",
        ]
        if environment:
            # One directive: sshd takes the first SetEnv only.
            settings.append("SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()))
        self.config = folder / "sshd_config"
        self.config.write_text("\n".join(settings) + "\n")
        self.trust()

    @property
    def public_key(self) -> str:
        """Type and key of the host, as known_hosts files and ssh-keyscan have it."""
        return " ".join(Path(f"{self.host_key}.pub").read_text().split()[:2])

    @property
    def fingerprint(self) -> str:
        """The host key's, as ssh-keygen says it ("SHA256:...")."""
        done = subprocess.run(["ssh-keygen", "-lf", f"{self.host_key}.pub"], check=True, capture_output=True, text=True)
        return done.stdout.split()[1]

    def trust(self, *others: Sshd) -> None:
        """Write known_hosts with this server's key, and those of others."""
        lines = [f"[127.0.0.1]:{server.port} {server.public_key}\n" for server in (self, *others)]
        self.known_hosts.write_text("".join(lines))

    def ssh(self, **more: object) -> dict[str, object]:
        """The ``ssh`` part of an inventory's node that logs in here."""
        settings = {
            "user": self.user,
            "port": self.port,
            "key": str(self.user_key),
            "known_hosts": str(self.known_hosts),
        }
        return {**settings, **more}

    def node(self, name: str = "node-a", **more: object) -> dict[str, object]:
        """A node of an inventory that is this server; ``more`` goes into its ``ssh`` part."""
        return {
            "name": name,
            "address": "127.0.0.1",
            "node_ip": "127.0.0.1",
            "interface": "lo",
            "ssh": self.ssh(**more),
        }

    def start(self) -> Sshd:
        """Start it and wait until it takes connections."""
        if SSHD is None:
            msg = "no sshd on this machine (install openssh-server)"
            raise RuntimeError(msg)
        self.log.unlink(missing_ok=True)
        # Its own separation folder, which a packaged sshd gets from its service file.
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(parents=True, exist_ok=True)
        self._process = subprocess.Popen(
            [SSHD, "-D", "-f", str(self.config), "-E", str(self.log)],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        end = time.monotonic() + 10
        while not (self.log.exists() and "Server listening" in self.log.read_text("utf-8", "replace")):
            if self._process.poll() is not None or time.monotonic() > end:
                words = self.log.read_text("utf-8", "replace") if self.log.exists() else "no log"
                self.stop()
                msg = f"sshd did not start: {words}"
                raise RuntimeError(msg)
            time.sleep(0.01)  # a connection would be one of those that the tests count
        return self

    def change_host_key(self) -> None:
        """Give the server another host key, as a machine that was installed anew has; known_hosts stays as it is."""
        self.stop()
        for path in (self.host_key, Path(f"{self.host_key}.pub")):
            path.unlink()
        keygen(self.host_key)
        self.start()

    def sessions(self) -> list[int]:
        """The process ids of the sshd processes that serve connections now."""
        if self._process is None:
            return []
        return _descendants(self._process.pid, "sshd")

    def kill_sessions(self) -> int:
        """End every connection from this side, without a word; how many processes that took."""
        pids = self.sessions()
        for pid in pids:
            _kill(pid)
        return len(pids)

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Nothing of it answers meanwhile, and nothing tells so: as a node whose network is gone."""
        pids = [*([self._process.pid] if self._process else []), *self.sessions()]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it and its connections."""
        process, self._process = self._process, None
        if process is None:
            return
        children = _descendants(process.pid, "sshd")
        process.terminate()
        process.wait(10)
        for pid in children:
            _kill(pid)

    def __enter__(self) -> Sshd:  # noqa: PYI034  # typing.Self is not in Python 3.10
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _descendants(root: int, name: str) -> list[int]:
    """Processes below ``root`` whose program's name starts with ``name``."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = stat.read_text("utf-8", "replace")
        except OSError:
            continue  # it has just ended
        pid = int(stat.parent.name)
        names[pid] = text[text.index("(") + 1 : text.rindex(")")]
        parents[pid] = int(text[text.rindex(")") + 2 :].split()[1])
    found = []
    for pid in parents:
        at = pid
        while at in parents and at != root:
            at = parents[at]
        if at == root and pid != root and names[pid].startswith(name):
            found.append(pid)
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return  # it has just ended
