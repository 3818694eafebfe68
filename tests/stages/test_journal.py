# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace

from hakuna.stages.holder import Holder
from hakuna.stages.journal import Journal, Trace

ONE, TWO = Trace("container", "a", "hakuna"), Trace("file", "a", "/tmp/x.json", inside=True)


def test_traces_are_open_until_they_are_gone(tmp_path):
    journal = Journal(tmp_path)
    journal.intend([ONE, TWO])
    assert journal.traces() == [ONE, TWO]
    journal.gone(ONE)
    assert journal.traces() == [TWO]


def test_a_line_that_was_cut_by_a_crash_does_not_hide_the_others(tmp_path):
    journal = Journal(tmp_path)
    journal.intend([ONE])
    with journal.path.open("ab") as file:
        file.write(b'{"event": "gone", "kind": "cont')
    assert Journal(tmp_path).traces() == [ONE]


def test_several_processes_write_whole_lines(tmp_path):
    code = (
        "import sys; from pathlib import Path; from hakuna.stages.journal import Journal\n"
        "j = Journal(Path(sys.argv[1]))\n"
        "for n in range(20): j.write('e', n=n, who=sys.argv[2])\n"
    )
    env = {**os.environ, "PYTHONPATH": "plugins"}
    workers = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path), w], env=env) for w in "ab"]
    assert [w.wait(30) for w in workers] == [0, 0]
    events = list(Journal(tmp_path).events())
    assert sorted((e["who"], e["n"]) for e in events) == [(w, n) for w in "ab" for n in range(20)]


def test_a_holder_is_told_from_a_later_process_of_the_same_number():
    me = Holder.me()
    assert me.alive() is True
    assert replace(me, start=me.start - 1).alive() is False
    assert replace(me, boot_id="another").alive() is False
    assert replace(me, host="elsewhere").alive() is None
