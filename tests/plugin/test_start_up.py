# SPDX-License-Identifier: Apache-2.0
"""What a session imports: every pytest of an environment that has Hakuna pays for its start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from support.sessions import MOCK, ROOT, environment

#: What takes long to import. hakuna.* are the parts that only a run needs.
HEAVY = (
    *("fabric", "paramiko", "invoke", "cryptography", "pydantic", "ruamel.yaml", "rich", "requests", "jinja2"),
    *("hakuna.inventory", "hakuna.transports.ssh", "hakuna.plugin.acceptance"),
)
#: Run in a process of its own, as this one has imported everything; other plugins may import what they like.
PROGRAM = """
import json, sys
import pytest
code = pytest.main(["-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *sys.argv[2:]])
print("\\n" + json.dumps([int(code), [name for name in json.loads(sys.argv[1]) if name in sys.modules]]))
"""


def imported(*arguments: str) -> set[str]:
    """The heavy modules that a pytest session with these arguments has imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps(HEAVY), *arguments],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, names = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stdout + done.stderr
    return set(names)


def test_a_session_that_is_not_hakunas_imports_nothing_heavy(tmp_path):
    """Hakuna is installed, and somebody else's tests are run."""
    (tmp_path / "test_other.py").write_text("def test_other(): pass\n")
    arguments = ["-p", "hakuna.plugin", f"--rootdir={tmp_path}", "-c", "/dev/null", str(tmp_path)]
    assert imported(*arguments) == set()


@pytest.mark.parametrize("arguments", [[], [f"--inventory={MOCK}"]])
def test_collecting_imports_no_ssh(arguments):
    assert imported("--collect-only", *arguments).isdisjoint(
        {"fabric", "paramiko", "invoke", "cryptography", "requests", "jinja2", "hakuna.transports.ssh"}
    )


def test_a_simulated_run_imports_no_ssh(tmp_path):
    names = imported(f"--inventory={MOCK}", f"--reports={tmp_path}", "--preflight")
    assert {"pydantic", "hakuna.inventory", "hakuna.plugin.acceptance"} <= names, "the names are right"
    assert names.isdisjoint({"fabric", "paramiko", "invoke", "cryptography", "hakuna.transports.ssh"})
