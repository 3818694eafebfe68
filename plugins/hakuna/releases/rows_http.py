# SPDX-License-Identifier: Apache-2.0
"""The rows of the HTTP interface: health, the shapes of errors, the API key."""

from __future__ import annotations

from .row import Behaviour, Row

ROWS: tuple[Row, ...] = (
    Row(
        "health-empty-before-0.14.0",
        Behaviour.HEALTH,
        False,
        "LMDeploy up to 0.13.0: /health is an empty 200 whatever the engine does",
        "serve/openai/api_server.py up to 0.13.0",
        until="0.14.0",
    ),
    Row(
        "health-json-from-0.14.0",
        Behaviour.HEALTH,
        True,
        'LMDeploy from 0.14.0 on: /health is {"status", "message"}; 503 unless healthy or sleeping',
        "serve/openai/api_server.py from 0.14.0",
        since="0.14.0",
    ),
    Row(
        "refusal-422-before-0.16.0",
        Behaviour.REFUSAL,
        422,
        'LMDeploy up to 0.15.0 answers a validation error with 422 and {"detail": [...], "body": ...} '
        "(FastAPI's handler)",
        "serve/openai/api_server.py up to 0.15.0",
        until="0.16.0",
    ),
    Row(
        "refusal-400-from-0.16.0",
        Behaviour.REFUSAL,
        400,
        'LMDeploy from 0.16.0 on answers a validation error with 400 and {"message", "type", "code", '
        '"param", "object": "error"}',
        "serve/openai/api_server.py from 0.16.0",
        since="0.16.0",
    ),
    Row(
        "stopped-200-before-0.16.0",
        Behaviour.STOPPED,
        200,
        'LMDeploy up to 0.15.0 answers for an engine that stopped with 200, an empty text and finish_reason "error"',
        "seen by running the releases 0.7.3 to 0.18.0 (docs/contract.md)",
        until="0.16.0",
    ),
    Row(
        "stopped-503-from-0.16.0",
        Behaviour.STOPPED,
        503,
        "LMDeploy from 0.16.0 on answers for an engine that stopped with 503 and the error object",
        "seen by running the releases 0.7.3 to 0.18.0 (docs/contract.md)",
        since="0.16.0",
    ),
    Row(
        "key-per-route-before-0.12.2",
        Behaviour.KEY,
        False,
        "LMDeploy up to 0.12.1 asks for the key per route, and several routes are open; without it 401 and "
        '{"detail": {"error": {...}}}',
        "serve/openai/api_server.py up to 0.12.1 (check_api_key)",
        until="0.12.2",
    ),
    Row(
        "key-everywhere-from-0.12.2",
        Behaviour.KEY,
        True,
        "LMDeploy from 0.12.2 on asks for the key everywhere but /health, /docs, /redoc and /nodes; without "
        "it 401 and the "
        "error object",
        "AuthenticationMiddleware from 0.12.2",
        since="0.12.2",
    ),
)
