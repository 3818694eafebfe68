# SPDX-License-Identifier: Apache-2.0
"""All pings of one device, one after the other, in one command: what a device of 1024 nodes sends is one answer.

The node script calls ``hccn_tool`` for each address and marks where each call begins and how it ended. A ping that
hangs is ended on the node: it costs its own time and nobody else's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from hakuna.evidence import Command, Ending
from hakuna.probes.hccn_ping import Ping, parse_ping
from hakuna.probes.reading import UnparsedError

#: Seconds after which one ping (3 packets, a second for each that is lost) is ended on the node.
PING_LIMIT = 15
#: Seconds that a device may take per ping on average, beyond the limit of one that hangs.
PING_SHARE = 6
#: After so many pings that hang, the tool of that device hangs: the rest of its pings are left out.
HUNG_LIMIT = 3
#: Addresses in one word: a word of a command line has at most 128 KiB.
_WORD = 2000
#: Bytes that one ping's answer has at most, taken over all of a device.
_BYTES = 1000

# What ends a ping that hangs is the batch (step_deadline). Where the kernel does not tell a process's children
# (CONFIG_PROC_CHILDREN, which distributions set), timeout(1) does it.
SCRIPT = rf"""
d=$1; t=$2; shift 2
PATH=${{PATH:+$PATH:}}/usr/local/Ascend/driver/tools:/usr/local/sbin:/usr/sbin:/sbin
exec 2>&1 </dev/null
k=
[ -r /proc/$$/task/$$/children ] || ! command -v timeout >/dev/null || k="timeout -s KILL $t"
h=0
for a in $*; do
  echo "hakuna-ping $a"
  case $a in
    *:*) $k hccn_tool -i $d -ping -inet6 -g ipv6_address $a;;
    *) $k hccn_tool -i $d -ping -g address $a;;
  esac
  r=$?
  echo
  echo "hakuna-status $r"
  case $r in
    126|127) break;;
    137) h=$((h+1)); [ $h -lt {HUNG_LIMIT} ] || break;;
  esac
done
echo pings-end
"""

_BEGIN = "hakuna-ping "
#: The answer to a ping that lost nothing, exactly as the tool prints it: the one that a mesh has by the million.
_FINE = (
    r"hakuna-ping (\S+)\ndevice \d+ PING6? \1\n"
    r"recv seq=0,time=(%s)ms\nrecv seq=1,time=(%s)ms\nrecv seq=2,time=(%s)ms\n"
    r"3 packets transmitted, 3 received, 0\.00%% packet loss\n\nhakuna-status 0\n"
)
#: Times below ten milliseconds, which all have eight characters: their texts stand in the order of their numbers.
_SHORT_TIMES = re.compile(_FINE % ((r"\d\.\d{6}",) * 3), re.ASCII)
_ANY_TIMES = re.compile(_FINE % ((r"\d+\.\d+",) * 3), re.ASCII)
_ONE = re.compile(r"(\S+)\n(.*)^hakuna-status (\d+)\n", re.DOTALL | re.MULTILINE)
_HUNG = 137
_CANNOT_RUN = (126, 127)


@dataclass(frozen=True)
class PingProblem:
    """Why a ping of a lane has no fact: ``kind`` is unparsed, failed or lost."""

    kind: str
    detail: str


def pings(device: int, addresses: Sequence[str]) -> Command:
    """The command that pings ``addresses`` from a device, in their order. Its id is ``hccn.pings/DEVICE``."""
    words = [" ".join(addresses[i : i + _WORD]) for i in range(0, len(addresses), _WORD)]
    argv = ("sh", "-c", SCRIPT.strip(), "hakuna-pings", str(device), str(PING_LIMIT), *words)
    return Command(
        f"hccn.pings/{device}",
        argv,
        deadline=20.0 + PING_LIMIT * HUNG_LIMIT + PING_SHARE * len(addresses),
        lane=f"hccn/{device}",
        sudo=True,
        output_limit=20_000 + _BYTES * len(addresses),
        query=True,
        step_deadline=PING_LIMIT,
    )


def as_ray_task(command: Command) -> Command:
    """The same pings, allowed to travel as a Ray task: in a container without the tool they end at once with 127."""
    lines = SCRIPT.strip().replace("exec 2>&1", "command -v hccn_tool >/dev/null || exit 127\nexec 2>&1", 1)
    argv = (*command.argv[:2], lines, *command.argv[3:])
    return replace(command, bare=replace(command, argv=argv, sudo=False))


def fine_times(text: str, addresses: Sequence[str]) -> list[float] | None:
    """The median round trip of each ping, if every one was answered in full; None: read them one by one."""
    if text.count(_BEGIN) != len(addresses) or not text.endswith("pings-end\n"):
        return None
    found = _SHORT_TIMES.findall(text)
    if [m[0] for m in found] == list(addresses):
        middle = [b if a <= b <= c or c <= b <= a else a if b <= a <= c or c <= a <= b else c for _, a, b, c in found]
        return list(map(float, middle))
    found = _ANY_TIMES.findall(text)
    if [m[0] for m in found] != list(addresses):
        return None
    return [sorted(map(float, m[1:]))[1] for m in found]


def each_ping(text: str, addresses: Sequence[str], ending: Ending) -> Iterator[Ping | PingProblem]:
    """What became of each ping, in order; ``ending`` is that of the whole command."""
    answers = iter(text.split(_BEGIN)[1:])
    stopped = ""
    for address in addresses:
        match = _ONE.fullmatch(next(answers, "").removesuffix("pings-end\n"))
        if match is None or match[1] != address:
            late = "the device's time for its pings was over" if ending is Ending.TIMED_OUT else "there is no answer"
            yield PingProblem("failed" if stopped else "lost", stopped or late)
            continue
        status, said = int(match[3]), match[2]
        if status == _HUNG and "transmitted" not in said:
            stopped = f"no end within {PING_LIMIT} s"
            yield PingProblem("failed", stopped)
        elif status in _CANNOT_RUN:
            stopped = said.strip()[:300] or f"exit status {status}"
            yield PingProblem("failed", stopped)
        else:
            yield _parsed(said, status)


def _parsed(said: str, status: int) -> Ping | PingProblem:
    try:
        return parse_ping(said)
    except UnparsedError as error:
        return PingProblem("unparsed", f"{error} (exit status {status})")
