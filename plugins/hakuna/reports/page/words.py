# SPDX-License-Identifier: Apache-2.0
"""The page's own words in English and Chinese. What checks and nodes say is shown as it is."""

from __future__ import annotations

from collections.abc import Mapping

LANGUAGES = ("en", "zh")

_BOTH: Mapping[str, tuple[str, str]] = {
    "title": ("Acceptance report", "验收报告"),
    "skip": ("Skip to the findings", "跳到检查结果"),
    "simulated": (
        "SIMULATED: no real machine was checked. The answers come from a model of a cluster.",
        "模拟运行：没有检查任何真实机器，所有回答来自集群模型。",
    ),
    "replay": (
        "Replay of run {}: its evidence was judged again, no node was reached.",
        "重放运行 {}：重新判定其证据，未连接任何节点。",
    ),
    "ready": ("Everything that was asked for was judged, and nothing is wrong.", "所有要求的检查均已判定，没有问题。"),
    "not_ready": ("{} to mend before this deployment can serve.", "需要先修复 {}，部署才能提供服务。"),
    "inconclusive": (
        "Nothing failed, but not everything could be judged: this is not a green run.",
        "没有失败项，但部分检查无法判定：不能视为通过。",
    ),
    "root_cause": ("1 root cause", "1 个根因"),
    "root_causes": ("{} root causes", "{} 个根因"),
    "causes": ("What is wrong, where, and what to type", "哪里出了问题、在何处、该输入什么"),
    "no_causes": ("No root cause was found.", "没有发现根因。"),
    "unjudged": ("Could not be judged", "无法判定"),
    "warnings": ("Warnings", "警告"),
    "where": ("Where", "位置"),
    "found": ("Found", "发现"),
    "expected": ("Expected", "期望"),
    "observed": ("Observed", "实际"),
    "fix": ("Fix", "修复"),
    "fix_on": ("Fix on {}", "在 {} 上修复"),
    "copy": ("click selects it all", "点击即全选"),
    "evidence": ("Evidence", "证据"),
    "no_evidence": ("The evidence is not in the run's folder.", "运行目录中没有该证据。"),
    "blocks": ("{} checks are BLOCKED by it", "{} 项检查因此被阻塞 (BLOCKED)"),
    "blocks_one": ("1 check is BLOCKED by it", "1 项检查因此被阻塞 (BLOCKED)"),
    "why": ("Why this matters", "为什么重要"),
    "more": ("and {} more: see findings.json", "另有 {} 项，见 findings.json"),
    "mesh": ("Device network", "设备网络"),
    "mesh_none": ("The device mesh was not probed in this run.", "本次运行没有探测设备网络。"),
    "mesh_pairs": ("{} directed pairs probed", "已探测 {} 个有向设备对"),
    "mesh_read": ("Rows ping columns. Point at a square for its pair.", "行 ping 列；指向方格可查看设备对。"),
    "mesh_nodes": (
        "One square per pair of nodes, showing its worst device pair.",
        "每个方格为一对节点，显示其中最差的设备对。",
    ),
    "loss": ("Packet loss", "丢包率"),
    "latency": ("Round trip", "往返时延"),
    "no_loss": ("no loss", "无丢包"),
    "some_loss": ("some", "部分丢包"),
    "all_loss": ("nothing came back", "全部丢失"),
    "unread": ("not read", "无法读取"),
    "usual": ("usual ({} ms)", "正常（{} ms）"),
    "slower": ("{}x", "{} 倍"),
    "above": ("above the limit", "超过阈值"),
    "empty": ("empty: not probed", "空白：未探测"),
    "worst_pairs": ("Pairs to look at first", "优先查看的设备对"),
    "from": ("From", "源"),
    "to": ("To", "目的"),
    "all_fine": ("No pair lost a packet or was slower than the limit.", "没有设备对丢包或超过时延阈值。"),
    "stages": ("Stages", "阶段"),
    "stage": ("Stage", "阶段"),
    "took": ("Took", "耗时"),
    "waited": ("Waited for", "等待"),
    "checks": ("Checks", "检查"),
    "not_entered": ("not entered", "未进入"),
    "unfinished": ("not finished", "未完成"),
    "versions": ("Versions, node by node", "各节点版本"),
    "versions_none": ("No versions were read in this run.", "本次运行没有读取版本信息。"),
    "versions_same": ("All nodes agree.", "所有节点一致。"),
    "versions_odd": ("{} differ; the odd one is marked.", "{} 项不一致，异常者已标记。"),
    "odd": ("differs", "不一致"),
    "nodes": ("{} nodes", "{} 个节点"),
    "component": ("Component", "组件"),
    "ranks": ("Rank, device, host", "Rank、设备与主机"),
    "ranks_none": (
        "There is no rank table and no all-reduce in this run.",
        "本次运行没有 rank table，也没有 all-reduce。",
    ),
    "ranks_differ": ("{} nodes hold another table.", "{} 个节点上的表不一致。"),
    "rank_table": ("as the rank table on the nodes says", "以节点上的 rank table 为准"),
    "all-reduce": ("as the all-reduce reported", "以 all-reduce 的结果为准"),
    "host": ("Host", "主机"),
    "device": ("Device {}", "设备 {}"),
    "rank": ("rank", "rank"),
    "generation": ("Generation", "文本生成"),
    "generation_none": ("The model was not asked in this run.", "本次运行没有向模型提问。"),
    "prompt": ("Prompt", "提示词"),
    "answer": ("Answer", "回答"),
    "door": ("Through", "接口"),
    "first_token": ("First token", "首 token 时延"),
    "rate": ("Tokens/s", "token/秒"),
    "duration": ("Duration", "耗时"),
    "deeds": ("What this run did to your machines", "本次运行对机器做了什么"),
    "deeds_none": ("Nothing: it only looked.", "什么也没做：只是查看。"),
    "deeds_replay": ("Nothing: a replay reaches no machine.", "什么也没做：重放不会连接任何机器。"),
    "deed": ("What", "内容"),
    "gone": ("gone again", "已清除"),
    "left": ("STILL THERE on {}", "仍留在 {}"),
    "kept": ("left running on purpose (--keep)", "按要求保留运行 (--keep)"),
    "unknown_left": ("may still be there: run hakuna down", "可能仍存在：请运行 hakuna down"),
    "kind_container": ("container", "容器"),
    "kind_processes": ("processes with this run's label", "带本次运行标签的进程"),
    "kind_file": ("file", "文件"),
    "kind_lease": ("lease", "租约"),
    "commands": ("The commands that changed something", "做出更改的命令"),
    "all_checks": ("All checks", "所有检查"),
    "verdict": ("Verdict", "判定"),
    "rule": ("Rule", "规则"),
    "check": ("Check", "检查项"),
    "says": ("What it says", "说明"),
    "not_run": ("did not run", "未运行"),
    "logs": ("Logs", "日志"),
    "logs_none": ("No logs were kept.", "没有保留日志。"),
    "log_end": ("the last {} of {} bytes", "末尾 {} / 共 {} 字节"),
    "since": ("Since the last good run", "自上次通过的运行以来"),
    "since_none": ("Nothing changed since {}.", "自 {} 以来没有变化。"),
    "before": ("Before", "之前"),
    "now": ("Now", "现在"),
    "notes": ("Notes", "备注"),
    "problems": ("Why this run is not whole", "运行不完整的原因"),
    "missing": ("What could not be shown", "无法显示的内容"),
    "limits": ("Not the whole story", "范围限制"),
    "cluster": ("Cluster", "集群"),
    "run": ("Run", "运行"),
    "started": ("Started (UTC)", "开始 (UTC)"),
    "cut": ("(cut)", "（已截断）"),
    "contents": ("Contents", "目录"),
    "made_by": (
        "Made by Hakuna {}. This file needs no network and no script.",
        "由 Hakuna {} 生成。本文件无需网络与脚本。",
    ),
    "outside": ("Blocked by checks that were not among those that ran", "被未参与运行的检查所阻塞"),
    "s_inventory": ("inventory", "清单"),
    "s_host": ("host", "主机"),
    "s_network": ("network", "网络"),
    "s_container": ("container", "容器"),
    "s_rank_table": ("rank table", "rank table"),
    "s_ray": ("ray", "Ray"),
    "s_collective": ("collective", "集合通信"),
    "s_server": ("server", "服务"),
    "s_generation": ("generation", "生成"),
    "s_teardown": ("teardown", "清理"),
    "s_": ("other", "其他"),
}


class Words:
    """Words of one language; ``w("more", 3)`` fills places."""

    def __init__(self, language: str) -> None:
        self.language = language if language in LANGUAGES else "en"
        self._column = LANGUAGES.index(self.language)

    @property
    def tag(self) -> str:
        """The language as HTML names it."""
        return "zh-CN" if self.language == "zh" else "en"

    def __call__(self, key: str, *values: object) -> str:
        return _BOTH[key][self._column].format(*values)

    def stage(self, name: str) -> str:
        return self(f"s_{name}") if f"s_{name}" in _BOTH else name
