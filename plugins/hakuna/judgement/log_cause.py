# SPDX-License-Identifier: Apache-2.0
"""Which rank failed first, from the logs of all nodes: the cause, and not those that timed out waiting for it.

What HCCL's own fault diagnosis says: of EI0015 look at the ranks that did not connect, of EI0006 at the rank that was
waited for; if that one reports something of its own, this is the cause; if it says nothing, it hung or is gone.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from hakuna.probes.hccl_codes import CODES
from hakuna.probes.log_places import Peer, Writer
from hakuna.probes.log_trouble import RAY, TORCH, Trouble, Weight
from hakuna.where import Where


@dataclass(frozen=True)
class World:
    """Where ranks and addresses are: what is needed to say in words of the inventory what a log says in its own."""

    ranks: Mapping[int, Where]
    hosts: Mapping[str, str]  # node by node IP
    addresses: Mapping[str, Where]  # device by its own IP

    def place(self, peer: Peer) -> Where | None:
        """Where somebody is that a line names."""
        if peer.rank in self.ranks:
            return self.ranks[peer.rank]
        if peer.device_ip in self.addresses:
            return self.addresses[peer.device_ip]
        if peer.host in self.hosts:
            where = Where(self.hosts[peer.host], peer.device)
            return where if where.device < 0 or where in self.ranks.values() else Where(where.node)
        return self.addresses.get(peer.host)

    def rank(self, where: Where) -> int | None:
        return next((rank for rank, place in self.ranks.items() if place == where), None)


@dataclass(frozen=True)
class Log:
    """The troubles of one file. ``source`` is its evidence; ``driver``: it is the server's own, not a worker's."""

    node: str
    path: str
    troubles: tuple[Trouble, ...]
    source: str = ""
    driver: bool = False


@dataclass(frozen=True)
class LogCause:
    """What is to blame. ``silent``: nothing was said there, others waited for it. ``waited``: ranks that only waited.

    ``where`` is the head node, and ``driver`` true, when the server's own process names the cause.
    """

    where: Where
    code: str
    text: str
    rank: int | None = None
    silent: bool = False
    waited: int = 0
    driver: bool = False
    path: str = ""
    source: str = ""

    @property
    def sentence(self) -> str:
        """Who failed, and how many only waited."""
        who = (
            f"rank {self.rank} ({self.where})" if self.rank is not None and self.where.device >= 0 else str(self.where)
        )
        others = f"{self.waited} other rank{'s' if self.waited != 1 else ''}" if self.waited else "others"
        if self.where.is_pair and self.code == "EI0013":
            return f"the way from {self.where.source} to {self.where.target} broke under load"
        if self.where.is_pair:
            return f"no way from {self.where.source} to {self.where.target}: both ends waited for each other"
        if self.silent:
            return f"{who} did not come and says nothing itself: {others} waited for it"
        meaning = CODES[self.code].meaning if self.code in CODES else "failed first"
        return f"{who}: {meaning}" + (f"; {others} only waited" if self.waited else "")

    @property
    def words(self) -> dict[str, str]:
        """What a finding says of it."""
        return {
            "observed": f"{self.code}: {self.text}",
            "message": self.sentence,
            "fix": self.advice,
            "evidence": self.source,
        }

    @property
    def advice(self) -> str:
        """What to do about it, where it is."""
        node = self.where.node or "every node"
        if self.silent:
            return f"on {node}: look why this rank stopped: ray logs and plog of its process, dmesg, npu-smi info"
        if self.code in CODES:
            device = str(self.where.device) if self.where.device >= 0 else "N"
            return CODES[self.code].fix.replace("{node}", node).replace("{device_id}", device)
        if self.code == RAY:
            return f"on {node}: dmesg | grep -i -E 'out of memory|killed'; free -g; then read {self.path}"
        return f"on {node}: read {self.path}"


@dataclass(frozen=True)
class _Told:
    """One trouble with its place."""

    trouble: Trouble
    log: Log
    where: Where

    @property
    def order(self) -> tuple[object, ...]:
        """The first to say something of its own; what tells no time comes after what does."""
        t = self.trouble
        return (t.weight, _vague(t), not t.time, t.time, self.log.driver, self.where.device < 0, self.log.path, t.line)


def _vague(trouble: Trouble) -> bool:
    """Whether it is no code that this program knows, nor an exception."""
    return trouble.code not in CODES and trouble.code not in (TORCH, RAY)


def first_cause(logs: Iterable[Log], world: World) -> LogCause | None:
    """The one thing to blame; None when no log says anything of trouble."""
    told = [_Told(t, log, where) for log in joined(logs, world) for t, where in _placed(log, world)]
    if not told:
        return None
    waiting = {x.where for x in told if x.trouble.weight is Weight.WAITED and x.where.device >= 0}
    causes = [x for x in told if x.trouble.weight <= Weight.DIED]
    if causes:
        first = _better(min(causes, key=lambda x: x.order), causes)
        where = _accused(first, world) or _missing(first, told, waiting, world) or _extent(first, causes, world)
        found = _cause(first, world, len({w for w in waiting if not where.covers(w)}))
        return replace(found, where=where, rank=world.rank(where))
    late = [x for x in told if x.trouble.weight is Weight.WAITED]
    if late:
        return _waited_for(late, waiting, world)
    return _cause(min(told, key=lambda x: x.order), world, 0)


def _better(first: _Told, causes: list[_Told]) -> _Told:
    """The same told with its place: a worker's own file says more of it than what Ray repeats elsewhere."""
    if first.where.device >= 0:
        return first
    same = [
        x
        for x in causes
        if x.where.device >= 0
        and first.where.covers(x.where)
        and x.trouble.weight == first.trouble.weight
        and x.trouble.code == first.trouble.code
    ]
    return min(same, key=lambda x: x.order) if same else first


def _wanted(late: list[_Told], world: World) -> Counter[Where]:
    """How often each place was waited for."""
    wanted: Counter[Where] = Counter()
    for x in late:
        wanted.update({p for p in map(world.place, x.trouble.peers) if p is not None and not p.covers(x.where)})
    return wanted


def _accused(told: _Told, world: World) -> Where | None:
    """Whom a cause is about that names others: EI0016 tells of all ranks, and who differs is to blame."""
    places = {p for p in map(world.place, told.trouble.peers) if p is not None}
    if told.trouble.code != "EI0016" or not places:
        return None
    return _whole_node(places, world) or min(places)


def _missing(first: _Told, told: list[_Told], waiting: set[Where], world: World) -> Where | None:
    """The device whose worker ended, where the log names only the node: the one of that node that others waited for."""
    if first.where.device >= 0 or (first.log.driver and _of_driver(first.trouble.writer)):
        return None
    late = [x for x in told if x.trouble.weight is Weight.WAITED]
    silent = {p for p in _wanted(late, world) if first.where.covers(p) and p.device >= 0 and p not in waiting}
    return min(silent) if len(silent) == 1 else None


def _extent(first: _Told, causes: list[_Told], world: World) -> Where:
    """How much of the cluster says the same: a device, all devices of a node, or all of them."""
    same = {
        x.where for x in causes if x.trouble.code == first.trouble.code and x.trouble.weight is first.trouble.weight
    }
    if first.where.device < 0:
        return first.where
    if len(world.ranks) > 1 and set(world.ranks.values()) <= same:
        return Where.cluster()
    return _whole_node({p for p in same if p.node == first.where.node}, world) or first.where


def _cause(told: _Told, world: World, waited: int) -> LogCause:
    trouble, log = told.trouble, told.log
    rank = world.rank(told.where) if told.where.device >= 0 else trouble.writer.rank
    driver = log.driver and _of_driver(trouble.writer)
    return LogCause(
        told.where, trouble.code, trouble.text, rank, waited=waited, driver=driver, path=log.path, source=log.source
    )


def _waited_for(late: list[_Told], waiting: set[Where], world: World) -> LogCause:
    """Everybody waited: the one who was waited for, and did not wait itself; else the two ends of a broken way."""
    first = min(late, key=lambda x: x.order)
    wanted = _wanted(late, world)
    named = _broken_way(first, world)
    if named is not None:
        return replace(_cause(first, world, len(waiting)), where=named, rank=None)
    silent = {place for place in wanted if not any(place.covers(w) for w in waiting)}
    if not silent:
        pair = next(
            (
                Where.pair(x.where, p)
                for x in sorted(late, key=lambda x: x.order)
                for p in map(world.place, x.trouble.peers)
                if p is not None and x.where.device >= 0 and p.device >= 0 and p != x.where
            ),
            None,
        )
        cause = _cause(first, world, len(waiting))
        return cause if pair is None else replace(cause, where=pair, rank=None)
    whole = _whole_node(silent, world)
    blamed = whole or max(silent, key=lambda p: (wanted[p], p.node, -p.device))
    said = next(x for x in sorted(late, key=lambda x: x.order) if _names(x, blamed, world))
    return LogCause(
        blamed,
        said.trouble.code,
        said.trouble.text,
        world.rank(blamed),
        silent=True,
        waited=len(waiting),
        path=said.log.path,
        source=said.log.source,
    )


def _broken_way(first: _Told, world: World) -> Where | None:
    """The two ends of a way that broke under load (EI0013 tells both)."""
    if first.trouble.code != "EI0013" or first.where.device < 0:
        return None
    ends = [p for p in map(world.place, first.trouble.peers) if p is not None and p.device >= 0]
    return Where.pair(first.where, ends[0]) if ends else None


def _whole_node(silent: set[Where], world: World) -> Where | None:
    """The node whose every device is missing: then it is the node."""
    for node in sorted({p.node for p in silent}):
        devices = {p for p in world.ranks.values() if p.node == node}
        if len(devices) > 1 and devices <= silent:
            return Where(node)
    return None


def _names(told: _Told, blamed: Where, world: World) -> bool:
    return any(p is not None and blamed.covers(p) for p in map(world.place, told.trouble.peers))


def _placed(log: Log, world: World) -> Iterable[tuple[Trouble, Where]]:
    """Where each trouble of a log was written."""
    for trouble in log.troubles:
        yield trouble, _where(log, trouble.writer, world)


def _of_driver(writer: Writer) -> bool:
    """Whether a line of the server's log is its own: those of workers carry Ray's prefix, or a rank."""
    return writer.pid is None and writer.rank is None and not writer.host


def _where(log: Log, writer: Writer, world: World) -> Where:
    if log.driver and _of_driver(writer):
        return Where(log.node)
    if writer.rank is not None and writer.rank in world.ranks and not writer.host:
        place = world.ranks[writer.rank]
        if log.driver or place.node == log.node:
            return place
    node = world.hosts.get(writer.host, log.node)
    place = Where(node, -1 if writer.device is None else writer.device)
    return place if place in world.ranks.values() else Where(node)


def joined(logs: Iterable[Log], world: World) -> tuple[Log, ...]:
    """The logs with what any of them says of a process (its rank, its device) told in all of them."""
    listed = list(logs)
    known: dict[tuple[str, int], Writer] = {}
    for log in listed:
        for trouble in log.troubles:
            key = _process(log, trouble, world)
            if key is not None:
                known[key] = known.get(key, Writer()).or_else(trouble.writer)
    return tuple(replace(log, troubles=tuple(_told_of(log, t, known, world) for t in log.troubles)) for log in listed)


def _told_of(log: Log, trouble: Trouble, known: Mapping[tuple[str, int], Writer], world: World) -> Trouble:
    key = _process(log, trouble, world)
    if key is None:
        return trouble
    return replace(trouble, writer=replace(trouble.writer.or_else(known[key]), host=trouble.writer.host))


def _process(log: Log, trouble: Trouble, world: World) -> tuple[str, int] | None:
    """Node and process id of whoever wrote it."""
    pid = trouble.writer.pid
    return None if pid is None else (world.hosts.get(trouble.writer.host, log.node), pid)
