# SPDX-License-Identifier: Apache-2.0
"""Pings from device to device (``hccn_tool -i N -ping -g address IP``)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hakuna.probes.hccn_errors import failure, refuse
from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import clean, lines, unknown

# A3's hccs_ping says "packets loss"; the 950's ubping has "seq:0,time:".
_SUMMARY = re.compile(
    r"(\d+)\s+packets?\s+transmitted\s*,\s*(\d+)\s+(?:packets?\s+)?received\s*,\s*(\d+(?:\.\d*)?)\s*%\s*packets?\s+loss",
    re.IGNORECASE,
)
_TIME = re.compile(r"recv\s+seq\s*[=:]\s*\S+?\s*,\s*time\s*[=:]\s*(\d+(?:\.\d+)?)\s*ms", re.IGNORECASE)
_TARGET = re.compile(r"^device\s+\d+\s+PING6?\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_EID = re.compile(r"^device\s+\d+.*\bEID\s+\S+\s+to\s+(\S+)", re.IGNORECASE | re.MULTILINE)
_ASKED = re.compile(r"-(?:ping|hccs_ping|roce_test)\b.*?\b(?:ipv6_)?address\s+(\S+)", re.IGNORECASE)


@dataclass(frozen=True)
class Ping:
    """The result of one ping. ``error`` is the tool's word where it could not ping at all (nothing received then)."""

    target: str
    sent: int
    received: int
    loss_percent: float
    times_ms: tuple[float, ...] = ()
    error: str = ""

    def plus(self, other: Ping) -> Ping:
        """Both pings of one pair as one; where nothing could be sent, there is nothing to add."""
        if not self.sent or not other.sent:
            return self if self.sent or not other.sent else other
        sent, received = self.sent + other.sent, self.received + other.received
        error = "" if received else self.error or other.error
        return Ping(
            self.target, sent, received, 100.0 * (sent - received) / sent, self.times_ms + other.times_ms, error
        )


def parse_ping(text: str) -> Ping:
    """Read one ping.

    The loss is counted from the numbers of the summary line, never looked for as a text: "0.00% packet loss" also
    stands in "100.00% packet loss".

    Raises:
        UnparsedError: no summary and no known error, several pings, or a summary that contradicts itself.
    """
    rows = lines(text)
    target = _target(text)
    times = tuple(float(m.group(1)) for x in rows if (m := _TIME.search(x)))
    summaries = [m for x in rows if (m := _SUMMARY.search(x))]
    if len(summaries) > 1 or len(set(_TARGET.findall(clean(text)))) > 1:
        raise UnparsedError("hccn_tool -ping -g: several pings in one answer")
    if not summaries:
        error = failure(text)
        if not error:
            refuse(text)
            raise unknown("hccn_tool -ping -g", text)
        return Ping(target, 0, 0, 100.0, times, error)
    sent, received, printed = int(summaries[0].group(1)), int(summaries[0].group(2)), float(summaries[0].group(3))
    if received > sent or printed > 100:  # noqa: PLR2004  # per cent
        raise UnparsedError(f"hccn_tool -ping -g: a summary that cannot be: {summaries[0].group(0)!r}")
    loss = 100.0 * (sent - received) / sent if sent else 100.0
    if abs(loss - printed) > 1:
        raise UnparsedError(f"hccn_tool -ping -g: a summary that contradicts itself: {summaries[0].group(0)!r}")
    return Ping(target, sent, received, loss, times, "" if received else failure(text))


def _target(text: str) -> str:
    plain = clean(text)
    for pattern in (_TARGET, _EID, _ASKED):
        if match := pattern.search(plain):
            return match.group(1)
    return ""
