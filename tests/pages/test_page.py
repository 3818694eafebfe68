# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import base64
import json
import re
import shutil
from html.parser import HTMLParser

import pytest

from hakuna.judgement.verdict import RunVerdict
from hakuna.reports import history, page
from hakuna.reports.facts import Exhibits, gather
from hakuna.reports.model import from_folder
from hakuna.reports.page.words import _BOTH
from hakuna.suites import load_rules
from support import sessions

VOID = {"meta", "br", "link", "img", "input", "hr"}


class Document(HTMLParser):
    """The page as a browser sees it: its elements, their text, and whether every one is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == [], self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def count(self, tag: str, style: str = "") -> int:
        return sum(t == tag and (not style or style in (a.get("class") or "").split()) for t, a in self.tags)


def read(folder, name="report.html") -> tuple[str, Document]:
    text = (folder / name).read_text(encoding="utf-8")
    return text, Document(text)


@pytest.mark.parametrize("which", ["green", "two_faults", "preflight", "replay"])
def test_the_page_needs_nothing_else_and_no_script(which, request):
    text, document = read(request.getfixturevalue(which))
    assert document.count("script") == 0
    assert not [a for _, attributes in document.tags for a in attributes if a.startswith("on")]
    links = [v for _, a in document.tags for k, v in a.items() if k in ("href", "src")]
    ids = [a["id"] for _, a in document.tags if "id" in a]
    assert {link[1:] for link in links if link and link.startswith("#")} <= set(ids)
    assert all(link and link.startswith("#") for link in links)
    assert len(ids) == len(set(ids))
    assert not re.search(r"url\(|@import|https?://(?!0\.0\.0\.0)", text.partition("<body>")[0])
    assert document.count("p", "banner") == 1
    assert document.count("main") == document.count("h1") == 1
    told = {i for _, a in document.tags for i in (a.get("aria-labelledby") or "").split()}
    assert told <= set(ids)
    assert all("scope" in a for t, a in document.tags if t == "th")


def test_verdict_and_causes_come_first(two_faults):
    text, document = read(two_faults)
    report = from_folder(two_faults)
    assert report.verdict is RunVerdict.NOT_READY
    at = [
        text.index(x) for x in ("<h1>NOT READY", 'id="root-1"', 'id="root-2"', 'id="mesh"', 'id="stages"', 'id="logs"')
    ]
    assert at == sorted(at)
    assert "2 root causes to mend" in document.text
    first = text[at[1] : at[2]]
    assert "NET204" in first
    assert "node-b/3" in first
    assert '<pre class="fix" tabindex="0">hccn_tool -i 3 -tls -s enable 0</pre>' in first
    assert "$ hccn_tool -i 3 -tls -g" in first
    assert "tls switch[1]" in first.lower() or "tls" in first.lower()
    for verdict, count in report.counts.items():
        assert f'<li class="{verdict.value}"><b>{count}</b>' in text


def test_the_mesh_shows_the_bad_device_in_both_directions(two_faults):
    text, document = read(two_faults)
    loss = text[text.index('<svg class="heat"') :].partition("</svg>")[0]
    assert loss.count("<rect") == 128
    lossy = re.findall(r'class="l2"[^>]*><title>(.*?): 35%, 0\.\d+ ms</title>', loss)
    assert len(lossy) == 16
    assert (
        sum(pair.startswith("node-a/5 →") for pair in lossy) == sum(pair.endswith("→ node-a/5") for pair in lossy) == 8
    )
    assert [a["href"] for t, a in document.tags if t == "a" and "#pair-" in (a.get("href") or "")]
    assert text.count('id="pair-') == 16


def test_the_mesh_says_which_device_was_not_pinged_and_why(make):
    text, _ = read(make("--fault=link-down@node-b/3", "--preflight"))
    loss = text[text.index('<svg class="heat"') :].partition("</svg>")[0]
    assert loss.count("<rect") == 128
    silent = re.findall(r'class="u"[^>]*><title>(\S+) → (\S+): node-b/3: not pinged: its link is down</title>', loss)
    assert len(set(silent)) == 16
    assert all("node-b/3" in pair for pair in silent)


def test_what_a_green_run_shows(green):
    text, document = read(green)
    assert "<h1>READY" in text
    for words in ("No root cause was found.", "All nodes agree.", "Hakuna Matata! It means no worries", "25.2.0"):
        assert words in document.text
    ranks = re.findall(r"rank <b>(\d+)</b><small>(10\.20\.\d\.\d+)</small>", text)
    assert [int(r) for r, _ in ranks] == list(range(16))
    assert len({ip for _, ip in ranks}) == 16
    deeds = text[text.index('id="deeds"') :].partition("</section>")[0]
    assert deeds.count("gone again") == 6
    assert "docker run -d" in deeds
    assert "STILL THERE" not in deeds
    assert "api_server.log" in document.text


def test_the_way_of_the_bring_up_names_what_each_step_waited_for(green):
    text, _ = read(green)
    path = text[text.index('<details id="path">') :].partition("</details>")[0]
    steps = re.findall(r'<th scope="row"><code>([\w.]+)</code>', path)
    assert steps[0] == "container.lease"
    assert steps.index("container.run") < steps.index("ray.head") < steps.index("ray.workers")
    assert steps[-3:] == ["server.poll", "server", "server.boot"]
    assert set(re.findall(r"<td>(node-[ab])</td>", path)) == {"node-a", "node-b"}
    assert re.search(r"in all, of which [\d.]+ m?s \([\d.]+ %\) were Hakuna&#39;s own", path)


def test_a_preflight_has_no_bring_up(preflight):
    text, _ = read(preflight)
    assert 'id="path"' not in text


def test_the_odd_version_is_marked(make):
    text, _ = read(make("--fault=driver-differs@node-b", "--preflight"))
    assert re.findall(r'<td class="odd mono">([\w.]+) ', text) == ["24.1.rc3"]


def test_a_preflight_in_chinese_says_that_it_changed_nothing(preflight):
    text, document = read(preflight)
    assert '<html lang="zh-CN">' in text
    assert "什么也没做：只是查看。" in document.text
    assert "本次运行没有向模型提问。" in document.text


def test_a_replay_shows_the_evidence_of_the_run_that_it_replays(replay, green):
    text, document = read(replay)
    assert f"Replay of run {green.name}" in document.text
    assert "a replay reaches no machine" in document.text
    assert "Hakuna Matata! It means no worries" in document.text
    assert text.count("<rect") >= 256
    assert "gone again" not in text


def test_a_killed_run_has_its_page_with_what_was_known(killed):
    load_rules()
    report = from_folder(killed)
    exhibits = gather(report)
    assert any(p.startswith("host cannot be shown") for p in exhibits.problems)
    text = page.render(report, exhibits)
    document = Document(text)
    assert report.verdict is RunVerdict.INCONCLUSIVE
    assert "<h1>INCONCLUSIVE" in text
    assert "cut short" in document.text
    assert "host cannot be shown" in document.text
    assert "may still be there: run hakuna down" in document.text
    assert "rank <b>15</b>" in text
    assert "The model was not asked in this run." in document.text


def test_a_run_without_a_folder_has_a_page(green):
    report = from_folder(green)
    assert "<h1>READY" in page.render(report, Exhibits())


HOSTILE = "\x1b[2J</script></style></pre></textarea>--><svg onload=alert(1)><script>alert(1)</script>\x00\x9b31m\u202e {{ 7*7 }} \"'"


def test_hostile_output_breaks_nothing(green, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(green, folder)
    for path in folder.glob("evidence/*/*.jsonl"):
        header, *rows = path.read_text(encoding="utf-8").splitlines()
        changed = [json.loads(r) for r in rows]
        for row in changed:
            if row["id"].startswith("hccn.pings/0"):
                row["stdout"] = {"base64": base64.b64encode(b"\xff\xfe</script>" + HOSTILE.encode()).decode()}
            row["argv"] = [*row.get("argv", ()), HOSTILE]
        path.write_text("\n".join([header, *map(json.dumps, changed)]) + "\n", encoding="utf-8")
    for name in ("generation.completion", "generation.chat"):
        path = folder / "evidence" / "http" / f"{name}.json"
        path.write_text(
            path.read_text(encoding="utf-8").replace("Hakuna Matata!", json.dumps(json.dumps(HOSTILE))[3:-3])
        )
    log = folder / "logs" / "node-a" / "api_server.log"
    log.write_bytes(HOSTILE.encode() * 50_000 + b"\xff\xfe")
    journal = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    journal.insert(3, json.dumps({"event": "note", "at": 1.0, "text": HOSTILE}))
    journal.insert(3, json.dumps({"event": "intend", "at": 1.0, "kind": HOSTILE, "node": HOSTILE, "name": HOSTILE}))
    (folder / "journal.jsonl").write_text("\n".join(journal) + "\n")
    report = from_folder(folder)
    text = page.render(report, gather(report))
    document = Document(text)
    assert document.count("script") == 0
    assert not [a for _, attributes in document.tags for a in attributes if a.startswith("on")]
    assert not re.search("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", text)
    assert "49" not in [d.strip() for d in document.text.split("\n")]
    assert "alert(1)" in document.text
    assert len(text) < 1_000_000


def test_64_x_8_is_small_fast_and_readable(big):
    text, document = read(big)
    assert len(text.encode()) < 5_000_000
    assert text.count("<rect") < 10_000
    assert "32,256 directed pairs probed" in document.text
    assert "One square per pair of nodes" in document.text
    assert re.search(r"<summary>63 nodes</summary>", text)
    assert re.findall(r'<td class="odd mono">([\w.]+) ', text) == ["24.1.rc3"]
    assert 'id="root-2"' in text


def test_every_word_is_there_in_both_languages():
    for english, chinese in _BOTH.values():
        assert english
        assert chinese
        assert english.count("{}") == chinese.count("{}")


def test_what_drifted_since_the_last_good_run_is_told_everywhere(tmp_path):
    """A driver update of one node, seen by the history although this run was asked for nothing else."""
    first = sessions.pytest_session(tmp_path, f"--inventory={sessions.MOCK}")
    assert first.verdict == "READY"
    second = sessions.pytest_session(tmp_path, f"--inventory={sessions.MOCK}", "--fault=driver-differs@node-b")
    assert second.verdict == "NOT READY"
    remembered = history.entries(tmp_path / history.NAME)
    assert [(e.id, e.good) for e in remembered] == [
        (f.name, good) for f, good in zip(second.folders, (True, False), strict=True)
    ]
    assert f"changed since the last good run {first.folders[0].name}: driver of node-b: 25.2.0 -> 24.1.rc3" in " ".join(
        second.text.split()
    )
    text, _ = read(second.folder)
    since = text[text.index('<section id="since"') :].partition("</section>")[0]
    assert "driver of node-b" in since
    assert "HST109" in since
    assert "BLOCKED" not in since
