# SPDX-License-Identifier: Apache-2.0
"""Tells a command of the site's what a run came to. Hakuna itself sends nothing anywhere."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path

from hakuna.judgement.verdict import RunVerdict
from hakuna.reports import findings_json
from hakuna.reports.model import RunReport

#: Seconds that the command may take: a mail server that does not answer must not hold a nightly job.
PATIENCE = 60.0


class NotifyError(Exception):
    """The command could not be run, or it failed; the text says how."""


def words_of(command: str) -> list[str]:
    """The command's words, as a shell would split them; no shell is run.

    Raises:
        NotifyError: there is no word in it, or a quote is open.
    """
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise NotifyError(f"the command {command!r} cannot be read: {error}") from None
    if not words:
        raise NotifyError("the command is empty")
    return words


def check(command: str) -> None:
    """See at the beginning of a run what would go wrong at its end.

    Raises:
        NotifyError: the command cannot be read, or there is no such program.
    """
    program = words_of(command)[0]
    if shutil.which(program) is None:
        raise NotifyError(f"there is no program {program}")


def tell(command: str, report: RunReport, folder: Path, patience: float = PATIENCE) -> None:
    """Run the command with ``findings.json`` on its stdin, and what is needed most often in its environment.

    Raises:
        NotifyError: it cannot be run, it failed, or it took too long (then it and what it started is ended).
    """
    environment = {
        **os.environ,
        "HAKUNA_VERDICT": report.verdict.value,
        "HAKUNA_EXIT": "0" if report.verdict is RunVerdict.READY else "1",
        "HAKUNA_CLUSTER": report.cluster,
        "HAKUNA_FOLDER": str(folder.absolute()),
    }
    try:
        process = subprocess.Popen(
            words_of(command), stdin=subprocess.PIPE, env=environment, start_new_session=True, text=False
        )
    except OSError as error:
        raise NotifyError(f"the command cannot be run: {error}") from None
    try:
        process.communicate(findings_json.render(report).encode("utf-8", "replace"), timeout=patience)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise NotifyError(f"the command had no end within {patience:g} s") from None
    if process.returncode:
        raise NotifyError(f"the command ended with status {process.returncode}")
