# SPDX-License-Identifier: Apache-2.0
"""One run: its folder, its transport, and the stages that were entered so far.

Stage code is a pure function of the answers that :meth:`Run.send` and :meth:`Run.ask` give. Both keep every
answer under a name and give the kept one if there is one already. That one rule serves three ends: a second
process of the run (xdist) re-reads what the first one did, a replayed run judges old evidence with today's code,
and a run that was cut off can be read.
"""

from __future__ import annotations

import enum
import json
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from hakuna.evidence import Batch, Command, HttpAnswer, HttpRequest, NodeTrouble
from hakuna.evidence.store import EvidenceStore
from hakuna.inventory.model import Inventory
from hakuna.judgement.findings import SkipCheck
from hakuna.judgement.stage import Stage
from hakuna.judgement.verdict import Cause
from hakuna.probes.reading import Reading, ReadingState
from hakuna.stages.answers import Answers
from hakuna.stages.carrying import carried, for_login
from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal, Trace
from hakuna.transports import Take, Transport, stream
from hakuna.transports.ways import FanOut
from hakuna.where import Where


class Mode(enum.Enum):
    """What a run may do to the nodes."""

    FULL = "full"  # bring up, check, take down
    PREFLIGHT = "preflight"  # read only: inventory, host, network
    ATTACH = "attach"  # read only: judge what is already up


class StageBlocked(Exception):  # noqa: N818  # not an error of the program: a verdict on its way
    """A stage is not entered, because of findings in earlier ones."""

    def __init__(self, stage: Stage, causes: tuple[Cause, ...]) -> None:
        super().__init__(f"{stage.title} was not entered because of {', '.join(map(str, causes))}")
        self.stage = stage
        self.causes = causes


class StageBroken(Exception):  # noqa: N818  # a verdict on its way, like StageBlocked
    """The facts of a stage could not be collected, because Hakuna itself broke: every check of it is an ERROR."""


class ReadOnlyError(Exception):
    """A fault of Hakuna itself: a read-only run was about to change a node."""


@dataclass(frozen=True)
class Plan:
    """What was asked for on the command line. ``wait``: so many seconds for another run to give the nodes back."""

    mode: Mode = Mode.FULL
    keep: bool = False
    until: Stage = Stage.TEARDOWN
    mesh: str = "auto"
    fan_out: FanOut = FanOut.AUTO
    wait: float = 0.0

    def wants(self, stage: Stage) -> bool:
        """Whether checks of the stage belong to the run."""
        return not self.left_out(stage)

    def left_out(self, stage: Stage) -> str:
        """Why the stage does not belong to the run; empty if it does."""
        if stage is Stage.TEARDOWN:
            return "" if self.mode is Mode.FULL and not self.keep else "this run takes nothing down"
        if self.mode is Mode.PREFLIGHT and not stage.read_only:
            return "--preflight only looks at the hosts and their network"
        return "" if stage.order <= self.until.order else f"the run goes only up to {self.until.title}"

    def as_json(self) -> dict[str, Any]:
        return {
            "mode": self.mode.value,
            "keep": self.keep,
            "until": self.until.value,
            "mesh": self.mesh,
            "fan_out": self.fan_out.value,
            "wait": self.wait,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Plan:
        """Read what :meth:`as_json` wrote."""
        how = FanOut(data.get("fan_out", FanOut.AUTO.value))
        return cls(Mode(data["mode"]), data["keep"], Stage(data["until"]), data["mesh"], how, data.get("wait", 0.0))


Collector = Callable[["Run"], object]
Gate = Callable[[Stage], tuple[Cause, ...]]


@dataclass
class Run:
    """See the module's docstring.

    ``progress`` hears what is going on, for a person who waits; ``waiting`` hears at every poll what is still
    being waited for.
    """

    id: str
    folder: Path
    inventory: Inventory
    inventory_name: str
    transport: Transport
    store: EvidenceStore
    journal: Journal
    plan: Plan
    holder: Holder
    progress: Callable[[str], None] = lambda _text: None
    waiting: Callable[[str], None] = lambda _text: None
    live: bool = True
    _facts: dict[Stage, object] = field(default_factory=dict)
    _blocked: dict[Stage, StageBlocked] = field(default_factory=dict)
    _broken: dict[Stage, StageBroken] = field(default_factory=dict)
    _collectors: dict[Stage, Collector] = field(default_factory=dict)
    gate: Gate = lambda _stage: ()
    _begins: bool = False

    # -- talking to the nodes ------------------------------------------------------------------------------------

    def send(
        self, name: str, batches: Mapping[str, Batch], unsent: Mapping[str, NodeTrouble] | None = None, /
    ) -> Answers:
        """Send one batch to each node, all nodes at once, and keep the answers under ``name``.

        Nodes of ``unsent`` are not asked: that trouble is their answer.
        """
        wanted = {node: for_login(self.inventory, node, batch) for node, batch in batches.items() if len(batch)}
        kept = self.store.answers(name)
        if kept is None:
            self._guard(name, wanted)
            answers = carried(self.transport, name, wanted, unsent or {})
            kept = self.store.keep(name, wanted, answers) if self.live else dict(answers)
        return Answers(name, kept)

    def send_each(self, name: str, batches: Mapping[str, Batch], take: Take) -> None:
        """As :meth:`send`, for answers too large to be held together: each goes to ``take`` once it is kept."""
        wanted = {node: for_login(self.inventory, node, batch) for node, batch in batches.items() if len(batch)}
        if self.store.has(name):
            for node, answer in self.store.each(name):
                take(node, answer)
            return
        self._guard(name, wanted)
        if not self.live:
            stream(self.transport, name, wanted, take)
            return
        writer = self.store.writer(name, wanted)
        stream(self.transport, name, wanted, lambda node, answer: take(node, writer.write(node, answer)))
        writer.close()

    def ask(self, request: HttpRequest) -> HttpAnswer:
        """Send one HTTP request and keep the answer under its id."""
        kept = self.store.http(request.id)
        if kept is None:
            answer = self.transport.http(request)
            kept = self.store.keep_http(request, answer) if self.live else answer
        return kept

    def hear(self, request: HttpRequest) -> Reading[HttpAnswer]:
        """:meth:`ask` as a reading: no HTTP response at all is no evidence, any response is."""
        answer = self.ask(request)
        source = f"http/{request.id}"
        where = Where(request.node)
        if answer.error:
            return Reading(where, ReadingState.LOST, None, answer.error, source)
        return Reading(where, ReadingState.READ, answer, "", source)

    def asked(self, name: str) -> bool:
        """Whether a batch was sent already (by this process or another one of the run)."""
        return self.store.answers(name) is not None

    def asked_or_live(self, name: str) -> bool:
        """Whether a further batch can be had: a replayed run ends its polls where the first run ended them."""
        return self.live or self.asked(name)

    def journal_time(self) -> float:
        """When the run began, in seconds since the epoch (the same for all its processes)."""
        begun = self.journal.last("run")
        return float(begun["at"]) if begun else time.time()

    def pause(self, seconds: float) -> None:
        """Wait between two polls; a replayed run does not wait."""
        if self.live:
            time.sleep(seconds)  # polls back off, and there is no event to wait for across ssh

    def intend(self, *traces: Trace) -> None:
        """Write down what the next batch may leave on the nodes; what another process has done is in the journal."""
        if self._begins:
            known = set(self.journal.traces())
            self.journal.intend([t for t in traces if t not in known])

    def _guard(self, name: str, batches: Mapping[str, Batch]) -> None:
        if self.plan.mode is Mode.FULL or not self.live:
            return
        for node, batch in batches.items():
            for command in batch:
                if command.mutates:
                    msg = f"{self.plan.mode.value} run: {name} would change {node}: {command.id}"
                    raise ReadOnlyError(msg)

    # -- stages --------------------------------------------------------------------------------------------------

    def use(self, collectors: Mapping[Stage, Collector]) -> None:
        """Tell the run how each stage's facts are collected."""
        self._collectors = dict(collectors)

    def facts(self, stage: Stage) -> Any:
        """The facts of a stage; enters it, and all before it, when it is asked for the first time.

        Raises:
            StageBlocked: findings of earlier stages forbid to go on.
            SkipCheck: the plan leaves the stage out; a check of the teardown may ask for one all the same.
        """
        if left_out := self.plan.left_out(stage):
            raise SkipCheck(left_out)
        if stage in self._blocked:
            raise self._blocked[stage]
        if stage not in self._facts:
            for earlier in stage.before if stage is not Stage.TEARDOWN else ():
                if earlier not in self._facts and earlier in self._collectors:
                    try:
                        self.facts(earlier)
                    except StageBlocked as error:
                        self._blocked[stage] = StageBlocked(stage, error.causes)
                        raise self._blocked[stage] from None
            self._enter(stage)
        return self._facts[stage]

    def _enter(self, stage: Stage) -> None:
        if self.plan.mode is Mode.FULL and not stage.read_only and stage is not Stage.TEARDOWN:
            causes = self.gate(stage)
            if causes:
                self._blocked[stage] = StageBlocked(stage, causes)
                raise self._blocked[stage]
        locks = self.folder / "locks"
        locks.mkdir(exist_ok=True)
        with FileLock(str(locks / f"{stage.value}.lock")):
            begun = time.time()
            first = self.live and not (locks / f"{stage.value}.done").exists()
            if first and not stage.read_only and (locks / f"{Stage.TEARDOWN.value}.done").exists():
                self._broken[stage] = StageBroken(f"stage {stage.title} was not begun: the run is taken down already")
                raise self._broken[stage]
            outer, self._begins = self._begins, first
            if first:
                self.progress(f"{stage.title} ...")
                self.journal.write("stage", stage=stage.value, state="begin")
            tell = self.progress, self.waiting
            if not first:  # what is only read again was told already
                self.progress = self.waiting = lambda _text: None
            try:
                self._facts[stage] = self._collect(stage)
            finally:
                self.progress, self.waiting = tell
                self._begins = outer
            if first:
                seconds = time.time() - begun
                self.journal.write("stage", stage=stage.value, state="end", seconds=round(seconds, 3))
                (locks / f"{stage.value}.done").touch()
                self.progress(f"{stage.title}: {seconds:.1f} s")

    def _collect(self, stage: Stage) -> object:
        """Collect once; a fault of the collector is kept and told to everybody who asks again."""
        if stage in self._broken:
            raise self._broken[stage]
        try:
            return self._collectors[stage](self)
        except Exception as error:  # the run goes on, to its teardown and its reports, whatever broke
            last = traceback.extract_tb(error.__traceback__)[-1]
            place = f"{Path(last.filename).name}:{last.lineno}"
            text = f"stage {stage.title} could not be collected: {type(error).__name__}: {error} ({place})"
            self.journal.write("broken", stage=stage.value, text=text, traceback=traceback.format_exc())
            self._broken[stage] = StageBroken(text)
            raise self._broken[stage] from error

    # -- small helpers for stage code ----------------------------------------------------------------------------

    def everywhere(self, build: Callable[[Any], list[Command]]) -> dict[str, Batch]:
        """A batch for every node, from what ``build`` gives for it."""
        return {n.name: Batch(tuple(build(n))) for n in self.inventory.nodes}

    @property
    def brings_up(self) -> bool:
        return self.plan.mode is Mode.FULL

    @property
    def label(self) -> dict[str, str]:
        """The entries in the environment of every process of the run: which run, and whose."""
        holder = self.holder
        return {
            "HAKUNA_RUN": self.id,
            "HAKUNA_HOLDER": holder.word,
            "HAKUNA_BOOT_ID": holder.boot_id,
            "HAKUNA_START": str(holder.start),
        }


def save_run(run: Run, **more: Any) -> None:
    """Write ``run.json``: what a replay, a report or a later clean-up needs to know of the run."""
    data = {
        "id": run.id,
        "inventory_name": run.inventory_name,
        "plan": run.plan.as_json(),
        "holder": run.holder.as_json(),
        "transport": run.transport.kind,
        "inventory": run.inventory.model_dump(mode="json"),
        **more,
    }
    path = run.folder / "run.json"
    aside = path.with_suffix(".tmp")
    aside.write_text(run.store.redactor.text(json.dumps(data, indent=1, ensure_ascii=False)), encoding="utf-8")
    aside.replace(path)
