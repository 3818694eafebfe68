#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts what a run came to into a chat: a command for --notify, which gives findings.json on stdin.

HAKUNA_WEBHOOK       the address to post to (a secret: keep it in the environment, not on a command line)
HAKUNA_WEBHOOK_KIND  slack (default; Mattermost and Teams' workflows take it too), feishu, dingtalk, or json (all of it)
HAKUNA_WEBHOOK_WHEN  always (default), or red: only when the cluster is not READY
"""

import json
import os
import sys
import urllib.request

CAUSES = 5


def words(findings: dict) -> str:
    """The run in a few lines: verdict, counts, causes with their fixes, what drifted."""
    run = findings["run"]
    counts = ", ".join(f"{n} {verdict}" for verdict, n in findings["counts"].items() if n)
    simulated = " (SIMULATED)" if run["simulated"] else ""
    lines = [f"{findings['verdict']}{simulated}: {run['cluster']}, run {run['id']}: {counts}"]
    lines += [f"! {problem}" for problem in findings["problems"][:CAUSES]]
    for cause in findings["root_causes"][:CAUSES]:
        title = findings["rules"].get(cause["rule"], {}).get("title", "")
        lines.append(f"{cause['rule']} {title}, at {cause['where']}: {cause['message'] or cause['observed']}")
        lines += [f"    {line}" for line in cause["fix"].splitlines()]
    if len(findings["root_causes"]) > CAUSES:
        lines.append(f"and {len(findings['root_causes']) - CAUSES} more")
    lines += [
        f"warning {w['rule']} at {w['where']}: {w['message'] or w['observed']}" for w in findings["warnings"][:CAUSES]
    ]
    return "\n".join(lines)


def payload(kind: str, findings: dict) -> object:
    """What the chat's webhook expects."""
    text = words(findings)
    return {
        "slack": {"text": text},
        "feishu": {"msg_type": "text", "content": {"text": text}},
        "dingtalk": {"msgtype": "text", "text": {"content": text}},
        "json": findings,
    }[kind]


def main() -> int:
    findings = json.load(sys.stdin)
    if os.environ.get("HAKUNA_WEBHOOK_WHEN") == "red" and findings["verdict"] == "READY":
        return 0
    body = json.dumps(payload(os.environ.get("HAKUNA_WEBHOOK_KIND", "slack"), findings)).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(os.environ["HAKUNA_WEBHOOK"], body, headers)  # noqa: S310  # the site's own address
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # likewise
        return 0 if answer.status < 300 else 1  # noqa: PLR2004  # HTTP: below are the good ones


if __name__ == "__main__":
    sys.exit(main())
