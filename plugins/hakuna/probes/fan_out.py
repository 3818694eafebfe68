# SPDX-License-Identifier: Apache-2.0
"""Many nodes asked through Ray: the command for the head, and what it printed for each node."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, replace

from hakuna.evidence import Command
from hakuna.probes.programs import program
from hakuna.probes.reading import UnparsedError

#: What all nodes together may answer, in bytes; each node's own commands are bounded by their own limits.
LIMIT = 256_000_000
#: What one node's answer may come to when it is unpacked: packed output of a hostile node must not fill the memory.
NODE_LIMIT = 64_000_000


@dataclass(frozen=True)
class Carried:
    """What one node's script printed; ``problem`` is set where it could not be run."""

    printed: bytes = b""
    problem: str = ""


def fan_out(scripts: Mapping[str, bytes], seconds: float) -> Command:
    """Run each node's script (key: node IP) as a Ray task on it; ``seconds`` is the longest of their limits."""
    text = json.dumps({address: script.decode("utf-8", "surrogateescape") for address, script in scripts.items()})
    packed = base64.b64encode(zlib.compress(text.encode(), 6))
    made = program("fan-out", f"{seconds:g}", id="fan-out", deadline=seconds + 90.0, stdin=packed)
    return replace(made, output_limit=LIMIT)


def parse_fan_out(text: str) -> dict[str, Carried]:
    """Read what ``hakuna-fan-out`` printed, by node IP. A node that was not told of is not in it.

    Raises:
        UnparsedError: it printed something else, or could not begin (no Ray); the text is its own words.
    """
    found: dict[str, Carried] = {}
    for line in text.splitlines():
        words = line.split(" ")
        if words[0] == "fan-out-failed":
            raise UnparsedError(line)
        if words[0] != "node_ip" or len(words) < 3:  # noqa: PLR2004  # node_ip IP ANSWER
            continue
        if words[2] == "!":
            found[words[1]] = Carried(problem=" ".join(words[3:]))
            continue
        try:
            unpacker = zlib.decompressobj()
            printed = unpacker.decompress(base64.b64decode(words[2], validate=True), NODE_LIMIT)
            found[words[1]] = Carried(printed)
        except (ValueError, binascii.Error, zlib.error) as error:
            raise UnparsedError(f"hakuna-fan-out: a damaged line for {words[1]}: {error}") from error
    if not found:
        raise UnparsedError(f"hakuna-fan-out told of no node: {text[:200]}")
    return found
