# SPDX-License-Identifier: Apache-2.0
"""Whole runs on simulated clusters, each made once: their folders are what the pages are made of."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from support import sessions

TWO_FAULTS = ("--fault=tls-differs@node-b/3", "--fault=partial-loss@node-a/5")
BIG_NODES = 64


@pytest.fixture(scope="session")
def make(tmp_path_factory) -> Callable[..., Path]:
    """Gives the folder of a run with these arguments; the same arguments give the same run."""
    known: dict[tuple[str, ...], Path] = {}

    def run(*arguments: str, inventory: Path = sessions.MOCK) -> Path:
        key = (*arguments, str(inventory))
        if key not in known:
            reports = tmp_path_factory.mktemp("reports")
            source = () if any(a.startswith("--replay") for a in arguments) else (f"--inventory={inventory}",)
            session = sessions.pytest_session(reports, *source, *arguments)
            assert session.folders, session.text
            known[key] = session.folder
        return known[key]

    return run


@pytest.fixture(scope="session")
def green(make) -> Path:
    return make()


@pytest.fixture(scope="session")
def two_faults(make) -> Path:
    return make(*TWO_FAULTS)


@pytest.fixture(scope="session")
def preflight(make) -> Path:
    return make("--preflight", "--lang=zh")


@pytest.fixture(scope="session")
def replay(make, green) -> Path:
    return make(f"--replay={green}")


@pytest.fixture(scope="session")
def killed(green, tmp_path_factory) -> Path:
    """A run as kill -9 leaves it: the journal ends in the middle of a line, no report, half of the evidence."""
    folder = tmp_path_factory.mktemp("killed") / green.name
    shutil.copytree(green, folder)
    for path in folder.glob("*.*"):
        if path.name not in ("run.json", "journal.jsonl"):
            path.unlink()
    journal = (folder / "journal.jsonl").read_bytes()
    cut = journal.index(b'"stage": "server", "state": "begin"')
    (folder / "journal.jsonl").write_bytes(journal[: cut + 20])
    for name in ("http", "logs", "server", "server.pipeline", "network.mesh"):
        shutil.rmtree(folder / "evidence" / name)
    (folder / "evidence" / "host" / "node-b.jsonl").write_bytes(b'{"sent": 1, "rec')
    return folder


@pytest.fixture(scope="session")
def big(make, tmp_path_factory) -> Path:
    """64 x 8 with two faults."""
    nodes = "".join(
        f"  - {{name: node-{i:03d}, address: node-{i:03d}, node_ip: 192.0.2.{i + 11}}}\n" for i in range(BIG_NODES)
    )
    inventory = tmp_path_factory.mktemp("big") / "big.yaml"
    inventory.write_text(f"cluster: big\ntransport: simulated\nnodes:\n{nodes}", encoding="utf-8")
    return make(
        "--fault=partial-loss@node-005/3", "--fault=driver-differs@node-017", "--mesh=rail", inventory=inventory
    )
