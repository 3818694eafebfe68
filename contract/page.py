# SPDX-License-Identifier: Apache-2.0
"""docs/contract.md: releases by points."""

from __future__ import annotations

from collections.abc import Sequence

from contract.comparison import POINTS, Contract

_TOP = """\
# Contract with LMDeploy's releases

Written by `make contract`: for each release, in an environment of its own, the release's own code is run beside Hakuna
and its simulator. Real are: the command line, the engine's configuration, the HTTP application under uvicorn,
tokenizer, chat template, the rank-table code. A stand-in is: the engine below them (one sentence, token by token, no
model). Dependencies are those of today, not of the release's year: what FastAPI or pydantic word is worded as they
word it now.

- **command**: the release's own parser takes the commands that Hakuna builds. **eager mode**: `eager_mode`, `tp` and
  `device_type` arrive in its `PytorchEngineConfig`, with and without `--eager-mode`.
- **options**: the options of its `api_server`, each with as many words as the simulated command line and Hakuna's
  reader take.
- **rank table**: what its own code makes of Hakuna's table (taken: every rank gets the device that the table says) and
  of bad ones, as Hakuna foretells. What only HCCL reads (addresses, status, version) LMDeploy takes, whatever it says.
- **routes**: the paths of its application are those of the simulated server. **health, answers, streams, values,
  bodies, key**: requests answered alike by both (status, content type, every field; not the text, counts, times, nor
  whether they are many or few): `contract/exchanges.py`.
- **pipeline**: Hakuna's program for section 4.2 of the guide runs.

"""


def page(contracts: Sequence[Contract]) -> str:
    """The whole page."""
    lines = ["| LMDeploy | " + " | ".join(POINTS) + " |", "|---" * (len(POINTS) + 1) + "|"]
    for one in contracts:
        if one.missing:
            cells = [f"not shown here: {one.missing}", *[""] * (len(POINTS) - 1)]
        else:
            cells = [_cell(one, point) for point in POINTS]
        lines.append(f"| {one.version} | " + " | ".join(cells) + " |")
    told = [
        f"- {one.version}, {point}: {difference}"
        for one in contracts
        for point in POINTS
        for difference in one.differences.get(point, ())
    ]
    rest = ["", "## Differences", "", *told] if told else ["", "No difference."]
    return _TOP + "\n".join([*lines, *rest]) + "\n"


def _cell(one: Contract, point: str) -> str:
    wrong = len(one.differences.get(point, ()))
    return f"**{wrong} differ**" if wrong else one.points.get(point, "")
