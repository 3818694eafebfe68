# SPDX-License-Identifier: Apache-2.0
"""What the simulated model says: the same answer for the same prompt, and each text says that it was simulated.

Standard library only: the simulated server's own process loads it by path.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

#: Tokens that a chat template adds to a conversation, and to each message (ChatML's figures).
TEMPLATE_TOKENS = 9
MESSAGE_TOKENS = 4

_WORDS = re.findall(
    r"\w+",
    "a calm river carries small boats past green hills while children count bright lanterns "
    "over the quiet market and old friends share warm bread under tall trees before evening rain",
)
_RUBBISH = "!#%&*~^|<>$@;:_锟斤拷烫屯葺锘縺鈥攃庮鑱旀垨�"  # what broken tensor parallelism prints
_RUBBISH_TOKENS = 24


@dataclass(frozen=True)
class Generation:
    """One answer. ``pieces`` are its tokens as text; joined they are the text. ``reason`` is "stop" or "length"."""

    pieces: tuple[str, ...]
    reason: str

    @property
    def text(self) -> str:
        return "".join(self.pieces)

    @property
    def ids(self) -> tuple[int, ...]:
        return token_ids("".join(self.pieces))


def split_tokens(text: str) -> tuple[str, ...]:
    """The text as tokens: words with the space before them; joined they are the text again."""
    return tuple(re.findall(r"\s*\S+|\s+", text))


def token_ids(text: str) -> tuple[int, ...]:
    """A stable id for each token of ``text``."""
    return tuple(zlib.crc32(piece.encode("utf-8", "replace")) % 150_000 + 100 for piece in split_tokens(text))


def answer(prompt: str, version: str) -> str:
    """What the model says to ``prompt``; the same each time."""
    mark = f"(simulated LMDeploy {version})"
    if "hakuna matata" in prompt.lower():
        return f"Hakuna Matata! It means no worries for the rest of your days. {mark}"
    digest = hashlib.sha256(prompt.encode("utf-8", "replace")).digest()
    words = [_WORDS[byte % len(_WORDS)] for byte in digest[: 8 + digest[0] % 6]]
    return f"{' '.join(words).capitalize()}. {mark}"


def rubbish() -> str:
    """What a model whose ranks disagree says: always as long, never the same."""
    return "".join(" " + "".join(secrets.choice(_RUBBISH) for _ in range(3)) for _ in range(_RUBBISH_TOKENS)).strip()


def generate(
    prompt: str,
    version: str,
    *,
    limit: int | None = None,
    stop: Sequence[str] = (),
    ignore_eos: bool = False,
    garbage: bool = False,
) -> Generation:
    """Answer ``prompt`` with at most ``limit`` tokens; ``ignore_eos`` goes on up to the limit."""
    text = rubbish() if garbage else answer(prompt, version)
    for word in stop:
        text = text.split(word, 1)[0] if word else text
    pieces = split_tokens(text)
    if ignore_eos and limit is not None and pieces:
        while len(pieces) < limit:
            pieces += (" " + pieces[0].lstrip(), *pieces[1:])
        return Generation(pieces[:limit], "length")
    if limit is not None and len(pieces) > limit:
        return Generation(pieces[:limit], "length")
    return Generation(pieces, "stop")
