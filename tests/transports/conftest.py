# SPDX-License-Identifier: Apache-2.0
"""Real sshds and inventories for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from hakuna.inventory.model import Inventory
from hakuna.transports.ssh import SshTransport
from support.sshd import MISSING, Sshd, keygen


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if MISSING:
        for item in items:
            if {"sshd", "make_sshd"} & set(getattr(item, "fixturenames", ())):
                item.add_marker(pytest.mark.skip(reason="no sshd on this machine"))


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without keys, agent and ssh configuration."""
    folder = tmp_path / "home"
    (folder / ".ssh").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return folder


@pytest.fixture(scope="module")
def user_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return keygen(tmp_path_factory.mktemp("user") / "key")


@pytest.fixture(scope="module")
def sshd(tmp_path_factory: pytest.TempPathFactory, user_key: Path) -> Iterator[Sshd]:
    """One plain sshd for the tests that need nothing special."""
    with Sshd(tmp_path_factory.mktemp("sshd"), user_key=user_key) as server:
        yield server


@pytest.fixture
def make_sshd(tmp_path: Path, user_key: Path) -> Iterator[Callable[..., Sshd]]:
    """Start sshds with settings of the test's own."""
    made: list[Sshd] = []

    def make(*lines: str, **more: Any) -> Sshd:
        server = Sshd(tmp_path / f"sshd-{len(made)}", lines=lines, user_key=user_key, **more)
        made.append(server)
        return server.start()

    yield make
    for server in made:
        server.stop()


@pytest.fixture
def connect() -> Iterator[Callable[..., SshTransport]]:
    """A transport to these nodes (as an inventory has them)."""
    made: list[SshTransport] = []

    def make(*nodes: dict[str, Any], patience: float = 10.0, **more: Any) -> SshTransport:
        transport = SshTransport(Inventory(nodes=nodes, **more), patience=patience)
        made.append(transport)
        return transport

    yield make
    for transport in made:
        transport.close()
