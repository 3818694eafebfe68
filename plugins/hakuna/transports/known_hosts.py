# SPDX-License-Identifier: Apache-2.0
"""Host keys: what known_hosts files say, and the words for a key that is not what they say.

Read here and not by paramiko, whose reader knows no patterns and fails on marked lines (``@revoked``,
``@cert-authority``). Host certificates are not supported by paramiko: those lines are left out.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from hakuna.evidence import NodeTrouble, Trouble

SYSTEM_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
USER_FILE = "~/.ssh/known_hosts"


@dataclass(frozen=True)
class HostKey:
    """One public key: its type ("ssh-ed25519") and its encoded form."""

    kind: str
    blob: bytes

    @property
    def fingerprint(self) -> str:
        """As ssh-keygen prints it."""
        digest = base64.b64encode(hashlib.sha256(self.blob).digest()).decode().rstrip("=")
        return f"SHA256:{digest}"

    def __str__(self) -> str:
        return f"{self.kind} {self.fingerprint}"


class KnownHosts:
    """The lines of several known_hosts files; a file that is not there holds none."""

    def __init__(self, paths: Iterable[str]) -> None:
        self._lines: list[tuple[str, HostKey]] = []
        self._revoked: set[bytes] = set()
        for path in paths:
            try:
                text = Path(path).expanduser().read_text("utf-8", "replace")
            except OSError:
                # Not there or not readable is the same to a first contact: the key is unknown, and that is said.
                continue
            for line in text.splitlines():
                self._take(line)

    def _take(self, line: str) -> None:
        words = line.split()
        marker = words.pop(0) if words and words[0].startswith("@") else ""
        if len(words) < 3 or words[0].startswith("#") or marker not in ("", "@revoked"):  # noqa: PLR2004  # names, type, key
            return
        try:
            key = HostKey(words[1], base64.b64decode(words[2], validate=True))
        except (binascii.Error, ValueError):
            return
        if marker:
            self._revoked.add(key.blob)
        else:
            self._lines.append((words[0], key))

    def keys(self, name: str) -> tuple[HostKey, ...]:
        """The keys of ``name`` ("host", or "[host]:port" when the port is not 22)."""
        return tuple(key for names, key in self._lines if _matches(names, name))

    def revoked(self, key: HostKey) -> bool:
        return key.blob in self._revoked


def _matches(names: str, name: str) -> bool:
    if names.startswith("|1|"):
        try:
            _, _, salt, digest = names.split("|")
            mac = hmac.new(base64.b64decode(salt), name.encode(), hashlib.sha1).digest()
            return hmac.compare_digest(mac, base64.b64decode(digest))
        except (ValueError, binascii.Error):
            return False
    matched = False
    for pattern in names.lower().split(","):
        expression = re.escape(pattern.lstrip("!")).replace(r"\*", ".*").replace(r"\?", ".")
        if re.fullmatch(expression, name.lower()):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def entry_name(host: str, port: int) -> str:
    """The name under which known_hosts files keep a host's key."""
    return host if port == 22 else f"[{host}]:{port}"  # noqa: PLR2004  # ssh's own port


def unknown_key(where: str, host: str, port: int, key: HostKey, file: str) -> NodeTrouble:
    """The words for a first contact."""
    return NodeTrouble(
        Trouble.HOST_KEY,
        f"{where}: the host key of {entry_name(host, port)} is unknown: {key}",
        f"compare {key.fingerprint} with the one shown on the machine's own console "
        f"(ssh-keygen -lf /etc/ssh/ssh_host_{_short(key.kind)}_key.pub), then: "
        f"ssh-keyscan -p {port} {shlex.quote(host)} >> {_shown(file)}",
    )


def changed_key(where: str, host: str, port: int, key: HostKey, known: HostKey, file: str) -> NodeTrouble:
    """The words for a key that is another one than the known one."""
    name = entry_name(host, port)
    return NodeTrouble(
        Trouble.HOST_KEY,
        f"{where}: the host key of {name} has changed: known is {known}, the host shows {key} "
        "(a machine installed anew, or someone between)",
        f"only if the change is explained: ssh-keygen -R {shlex.quote(name)} -f {_shown(file)}, then: "
        f"ssh-keyscan -p {port} {shlex.quote(host)} >> {_shown(file)}",
    )


def revoked_key(where: str, host: str, port: int, key: HostKey) -> NodeTrouble:
    """The words for a key that a known_hosts file calls revoked."""
    return NodeTrouble(Trouble.HOST_KEY, f"{where}: {entry_name(host, port)} shows a revoked host key: {key}")


def _short(kind: str) -> str:
    return "ecdsa" if kind.startswith("ecdsa") else kind.removeprefix("ssh-")


def _shown(file: str) -> str:
    # A tilde inside quotes would not be expanded.
    return file if file.startswith("~/") and shlex.quote(file[2:]) == file[2:] else shlex.quote(file)
