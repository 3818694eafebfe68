# SPDX-License-Identifier: Apache-2.0
"""The lease of the nodes: one run at a time brings something up on a node, and one that has died is known by it.

It is taken on every node before anything is started on any, renewed as long as the run's controller lives, and given
back by the teardown. Who waits for one (``--wait``) waits no longer than that.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Mapping
from itertools import count

from hakuna.evidence import Batch
from hakuna.judgement.verdict import Cause
from hakuna.probes import host
from hakuna.probes.reading import Table
from hakuna.stages.answers import Answers
from hakuna.stages.carrying import carry
from hakuna.stages.holder import LEASE_FOLDER
from hakuna.stages.journal import Journal, Trace
from hakuna.stages.run import Run

#: The rule that a lost lease is reported under.
RULE = "TDN907"
#: Seconds between two looks at a lease that is waited for.
LOOK = 2.0


def word(run: Run) -> str:
    """Who holds: the controller, and which run of it."""
    return f"{run.holder.word}/{run.id}"


def run_of(holder: str) -> str:
    """The run's id in a holder's word."""
    return holder.rpartition("/")[2]


def await_free(run: Run, answers: Answers, name: str) -> bool:
    """Wait until no other run holds a node, as long as ``--wait`` says; whether anything was waited for.

    ``answers`` are those of a batch that looked at the leases; the polls are called ``NAME.NNN``.
    """
    waited = False
    for number in count(1):
        held = {w.node: r.fact for w, r in _leases(answers).readings.items() if r.fact is not None and r.fact.holder}
        poll = f"{name}.{number:03d}"
        if not held or not _in_time(run, answers) or not run.asked_or_live(poll):
            return waited
        waited = True
        node, lease = next(iter(held.items()))
        run.waiting(f"waiting for {lease.holder} to give {node} back")
        run.pause(LOOK)
        answers = run.send(poll, run.everywhere(lambda _node: [host.lease_show(LEASE_FOLDER)]))
    raise AssertionError  # count() does not end


def take(run: Run) -> Table[host.LeaseState]:
    """Ask every node for the lease. Who got only some of them gives those back while it waits for the others."""
    if not run.brings_up:
        return Table({})
    ask = host.lease_acquire(LEASE_FOLDER, word(run), int(run.inventory.thresholds.lease))
    back = host.lease_release(LEASE_FOLDER, word(run))
    run.intend(*(Trace("lease", n.name, word(run)) for n in run.inventory.nodes))
    name = "container.lease"
    for number in count(2):
        answers = run.send(name, run.everywhere(lambda _node: [ask]))
        leases = _leases(answers)
        ours = [w.node for w, r in leases.readings.items() if r.fact is not None and r.fact.acquired]
        following = f"container.lease.{number:03d}"
        others = any(r.fact is not None and not r.fact.acquired for r in leases.readings.values())
        if not others or not _in_time(run, answers) or not run.asked_or_live(following):
            return leases
        run.waiting("waiting for another run to give the nodes back")
        run.send(f"{name}.back", {n: Batch((back,)) for n in ours})
        run.pause(LOOK * (0.5 + random.random()))  # noqa: S311  # two who wait must not go on in step
        name = following
    raise AssertionError  # count() does not end


def _leases(answers: Answers) -> Table[host.LeaseState]:
    return answers.per_node("host.lease", host.parse_lease)


def _in_time(run: Run, answers: Answers) -> bool:
    """Whether the answers came before the time to wait was over, counted from the run's beginning."""
    received = max((a.received for a in answers.by_node.values()), default=0.0)
    return received < run.journal_time() + run.plan.wait


def held(journal: Journal) -> dict[str, str]:
    """What the run has taken or tried to take: node -> the lease's word."""
    return {t.node: t.name for t in journal.traces() if t.kind == "lease"}


def lost(journal: Journal) -> tuple[Cause, ...]:
    """Where another run has taken a node from this one, as causes that forbid to go on."""
    taken = {e["node"] for e in journal.events() if e["event"] == "lease" and e["state"] == "lost"}
    return tuple(Cause.at(RULE, node) for node in sorted(taken))


def renew(run: Run, *, keep: bool = False) -> None:
    """Renew the lease on every node, or, to ``keep`` what was brought up, make it one that never expires.

    The journal hears of every node that did not renew it, and of those that somebody else has taken meanwhile.
    """
    seconds = int(run.inventory.thresholds.lease)
    batches: Mapping[str, Batch] = {
        node: Batch((host.lease_keep(LEASE_FOLDER, h) if keep else host.lease_acquire(LEASE_FOLDER, h, seconds),))
        for node, h in held(run.journal).items()
    }
    if not batches:
        return
    for where, reading in _leases(carry(run.transport, run.inventory, "lease", batches)).readings.items():
        state = reading.fact
        if state is None:
            run.journal.write("lease", state="unanswered", node=where.node, text=reading.detail)
        elif not state.acquired:
            run.journal.write("lease", state="lost", node=where.node, holder=state.holder)
        else:
            run.journal.write("lease", state="kept" if keep else "renewed", node=where.node, until=state.until)


class Renewal:
    """Renews a run's lease whenever a third of it is over, beside whatever the run is doing, until it is stopped."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._work, name="hakuna-lease", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Renew no more. A renewal that is under way gets a moment: it must not come after the lease is given back."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout=5)

    def _work(self) -> None:
        while not self._stopped.wait(self._run.inventory.thresholds.lease / 3):
            renew(self._run)
