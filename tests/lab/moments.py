# SPDX-License-Identifier: Apache-2.0
"""A plugin for runs in the lab: at a certain moment of a run the controller dies, or something befalls a host.

``-p moments`` with HAKUNA_LAB_MOMENT="BATCH WHEN DEED": WHEN is ``before`` the batch is sent (what it will leave is in
the journal already), ``during`` it (it is on its way to the nodes) or ``after`` it (answered, and not yet kept); DEED
is ``kill`` or a disaster (NAME@HOST).
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from hakuna.stages.connecting import connect

#: How long a batch is on its way before the deed is done in the middle of it.
IN_THE_MIDDLE = 0.25


def pytest_hakuna_transport(config, inventory):
    name, when, deed = os.environ["HAKUNA_LAB_MOMENT"].split()
    return AtMoment(connect(inventory, Path(config.getoption("hakuna_reports"))), name, when, deed)


class AtMoment:
    """The run's own transport, which is watched for one batch."""

    def __init__(self, inner, name, when, deed):
        self.inner, self.name, self.when, self.deed = inner, name, when, deed
        self.kind = inner.kind

    def run(self, name, batches):
        return self._watched(name, lambda: self.inner.run(name, batches))

    def http(self, request):
        return self._watched(request.id, lambda: self.inner.http(request))

    def close(self):
        self.inner.close()

    def _watched(self, name, act):
        if name != self.name:
            return act()
        if self.when == "before":
            self._do()
            return act()
        if self.when == "after":
            answers = act()
            self._do()
            return answers
        thread = threading.Thread(target=lambda: (time.sleep(IN_THE_MIDDLE), self._do()))
        thread.start()
        answers = act()
        thread.join()
        return answers

    def _do(self):
        if self.deed == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        subprocess.run([sys.executable, "-m", "lab", "disaster", self.deed], check=True, capture_output=True)
