# SPDX-License-Identifier: Apache-2.0
"""Hakuna's options and markers, all in one group, each with an ini key or none."""

from __future__ import annotations

import argparse
import math

import pytest

from hakuna.judgement.stage import Stage
from hakuna.transports.ways import FanOut

MARKERS = (
    "hardware: needs real NPUs; skipped, with its reason, on a simulated cluster",
    "stage(name): the stage of the deployment that a check belongs to (set by its rule)",
    "disruptive: disturbs a running service; left out of --attach runs",
    "slow: takes minutes on a real cluster",
)


def add_options(parser: pytest.Parser) -> None:
    """Add the option group ``hakuna``."""
    group = parser.getgroup("hakuna", "acceptance of LMDeploy on several Ascend machines")
    group.addoption("--inventory", metavar="FILE", help="the deployment to check (YAML); see inventory/")
    group.addoption(
        "--preflight", action="store_true", help="read only: check inventory, hosts and network; change nothing"
    )
    group.addoption("--attach", action="store_true", help="check what is already up; start and stop nothing")
    group.addoption("--keep", action="store_true", help="leave the service running at the end")
    group.addoption(
        "--until",
        metavar="STAGE",
        choices=[s.value for s in Stage],
        help="go no further than this stage: " + ", ".join(s.value for s in Stage if s is not Stage.TEARDOWN),
    )
    group.addoption(
        "--wait",
        metavar="SECONDS",
        type=_seconds,
        default=0.0,
        dest="hakuna_wait",
        help="wait so long, and no longer, for another run to give the nodes back (default: do not wait)",
    )
    group.addoption("--replay", metavar="RUN", help="judge the evidence of an earlier run again; reach no node")
    group.addoption(
        "--fault",
        metavar="NAME[@NODE[/DEVICE]]",
        action="append",
        default=[],
        help="put a fault into the simulated cluster (several times for several); see docs/faults.md",
    )
    group.addoption(
        "--mesh",
        choices=["auto", "full", "rail", "ring", "sampled"],
        default="auto",
        help="which device pairs are pinged: all (full), those of one index (rail), of these only neighbours (ring) or "
        "some distances (sampled), or by size (auto)",
    )
    group.addoption(
        "--fan-out",
        choices=[how.value for how in FanOut],
        default=FanOut.AUTO.value,
        help="how batches reach the nodes: over ssh, as Ray tasks wherever Ray is up, or by the number of nodes (auto)",
    )
    group.addoption(
        "--explain", metavar="RULE", help="say why a rule exists, how it is judged and what to do; then exit"
    )
    group.addoption("--rules", action="store_true", dest="hakuna_rules", help="list all rules; then exit")
    group.addoption("--reports", metavar="DIR", dest="hakuna_reports", help="where run folders go (default: reports)")
    group.addoption(
        "--lang",
        choices=["en", "zh"],
        default="en",
        dest="hakuna_lang",
        help="language of report.html (default: en)",
    )
    group.addoption(
        "--notify",
        metavar="COMMAND",
        dest="hakuna_notify",
        help="run this when the reports are written, with findings.json on its stdin (ini: hakuna_notify)",
    )
    parser.addini("hakuna_notify", "a command that hears of every finished run", default="")
    parser.addini("hakuna_reports", "where run folders go, relative to the root directory", default="reports")


def _seconds(word: str) -> float:
    """A number of seconds, not negative and not without end.

    Raises:
        argparse.ArgumentTypeError: anything else.
    """
    try:
        seconds = float(word)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise argparse.ArgumentTypeError(f"{word!r} is no number of seconds: give 0 or more, such as --wait=600")
    return seconds


def add_markers(config: pytest.Config) -> None:
    """Register the markers, so that ``--strict-markers`` and ``--markers`` know them."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)
