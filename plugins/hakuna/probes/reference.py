# SPDX-License-Identifier: Apache-2.0
"""What the model answers in one process on the CPU: the program ``hakuna-reference``, and for which models it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hakuna.evidence import Command
from hakuna.inventory.model import Inventory
from hakuna.probes.model_dir import ModelFiles
from hakuna.probes.programs import program
from hakuna.probes.texts import program_answer, shaped

WEIGHTS = (".safetensors", ".bin")
GIB = 2**30
PATIENCE = 300.0


@dataclass(frozen=True)
class Said:
    """A greedy answer; from character ``certain`` on 16 bits may choose other words."""

    text: str
    certain: int

    def agrees(self, other: str) -> bool:
        """Whether another answer is the same as far as this one is certain."""
        mine = self.text.strip()
        lead = len(self.text) - len(self.text.lstrip())
        if self.certain >= len(self.text):
            return other.strip() == mine
        return other.strip().startswith(mine[: max(0, self.certain - lead)].rstrip())


@dataclass(frozen=True)
class Reference:
    """The answers to the bare prompt and, with a template, to a chat; ``error``: there are none, and why."""

    completion: Said | None = None
    chat: Said | None = None
    error: str = ""


def why_not(files: ModelFiles | None, most_gib: float) -> str:
    """Why no reference is made of a model; empty if one is."""
    if not most_gib:
        return "thresholds.reference_gib is 0"
    if files is None or "config.json" not in files.sizes:
        return "the model's files on the head are not known"
    size = sum(size for name, size in files.sizes.items() if name.endswith(WEIGHTS)) / GIB
    if not size:
        return "the model's folder on the head holds no weights"
    if size > most_gib:
        return f"{size:.1f} GiB of weights are more than thresholds.reference_gib ({most_gib:g})"
    return ""


def reference(inventory: Inventory, env: Mapping[str, str], most: int) -> Command:
    words = (inventory.server.model_path, inventory.server.expect.prompt, str(most))
    return program("reference", *words, id="reference", deadline=PATIENCE, env=env)


@shaped
def parse_reference(text: str) -> Reference:
    """Read what ``hakuna-reference`` printed.

    Raises:
        UnparsedError: it printed no answer of its own.
    """
    answer = program_answer("hakuna-reference", text)
    if answer.get("error"):
        return Reference(error=str(answer["error"]))
    said = {name: Said(str(answer[name]["text"]), int(answer[name]["certain"])) for name in answer}
    return Reference(said["completion"], said.get("chat"))
