# SPDX-License-Identifier: Apache-2.0
"""Takes secrets out of whatever is about to be kept. It runs before evidence is written and before it is parsed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from hakuna.evidence.command import HttpAnswer, NodeAnswer, NodeTrouble, Outcome

MASK = "***"
_MIN_SECRET = 4  # shorter values would tear holes into innocent text

#: Secrets that can be known by their looks: keys on command lines, tokens in headers, passwords in URLs. Each with what
#: must stand in a text (in small letters) for the pattern to be worth a search: most texts hold none of it.
_PATTERNS = (
    ((b"--api",), re.compile(rb"(--api[-_]keys?(?:\narg |\s+|=)\"?)([^\s\"]+)")),
    ((b"bearer ",), re.compile(rb"((?i:authorization: *bearer|bearer) +)([A-Za-z0-9._~+/-]{8,}=*)")),
    ((b"://",), re.compile(rb"([a-z][a-z0-9+.-]*://[^\s/:@\"]+:)([^\s/@\"]+)(?=@)")),
    (
        (b"key=", b"password=", b"secret=", b"token="),
        re.compile(rb"\b((?:HF_TOKEN|HUGGING_FACE_HUB_TOKEN|[A-Z_]*(?:API_KEY|PASSWORD|SECRET|TOKEN))=)([^\s\"]+)"),
    ),
)


class Redactor:
    """Replaces known secret values, and what looks like a secret, by ``***``."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets = sorted({s for s in secrets if len(s) >= _MIN_SECRET}, key=len, reverse=True)
        # The words of commands are the same on all nodes.
        self._word = lru_cache(maxsize=4096)(self.text)

    def data(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret.encode(), MASK.encode())
        small = data.lower()
        for marks, pattern in _PATTERNS:
            if any(mark in small for mark in marks):
                data = pattern.sub(rb"\1" + MASK.encode(), data)
        return data

    def text(self, text: str) -> str:
        return self.data(text.encode("utf-8", "surrogateescape")).decode("utf-8", "surrogateescape")

    def argv(self, argv: Iterable[str]) -> list[str]:
        out: list[str] = []
        for word in argv:
            masked = MASK if out and re.fullmatch(r"--api[-_]keys?", out[-1]) else self._word(word)
            out.append(masked)
        return out

    def mapping(self, values: Mapping[str, str]) -> dict[str, str]:
        return {k: self.text(f"{k}={v}").partition("=")[2] for k, v in values.items()}

    def outcome(self, outcome: Outcome) -> Outcome:
        out, err = self.data(outcome.stdout), self.data(outcome.stderr)
        return outcome if (out, err) == (outcome.stdout, outcome.stderr) else replace(outcome, stdout=out, stderr=err)

    def answer(self, answer: NodeAnswer) -> NodeAnswer:
        trouble = answer.trouble
        if trouble is not None:
            trouble = NodeTrouble(trouble.kind, self.text(trouble.detail), self.text(trouble.fix))
        outcomes = {i: self.outcome(o) for i, o in answer.outcomes.items()}
        return replace(answer, outcomes=outcomes, trouble=trouble)

    def http(self, answer: HttpAnswer) -> HttpAnswer:
        return replace(
            answer,
            body=self.data(answer.body),
            headers=self.mapping(answer.headers),
            chunks=tuple((t, self.data(c)) for t, c in answer.chunks),
            error=self.text(answer.error),
        )
