# SPDX-License-Identifier: Apache-2.0
"""An engine that stopped is seen whatever status its release answers with: then the logs are read."""

from __future__ import annotations

import json

import pytest

from hakuna.evidence import HttpAnswer
from hakuna.probes import lmdeploy_http as http
from hakuna.stages.generation import _ended_in_error


def completion(reason: str, text: str = "Hakuna") -> HttpAnswer:
    body = {"choices": [{"index": 0, "text": text, "finish_reason": reason}], "usage": {}}
    return HttpAnswer("generation.completion", 200, body=json.dumps(body).encode())


@pytest.mark.parametrize(
    ("answer", "stopped"),
    [
        (completion("stop"), False),
        (completion("length"), False),
        (completion("error", ""), True),
        (HttpAnswer("generation.completion", 200, body=b"42 bottles of milk"), True),
    ],
)
def test_an_answer_of_a_stopped_engine_is_none(answer, stopped):
    assert _ended_in_error(answer, http.parse_completion) is stopped
