# SPDX-License-Identifier: Apache-2.0
"""The words in which hccn_tool says that it could not do something, or that nothing is set."""

from __future__ import annotations

import re

from hakuna.probes.reading import UnparsedError
from hakuna.probes.texts import lines

# Source: hicann/driver ascend910B/hccn_tool cmd.c, tool.c, tool_ops.c (facts/formats.md).
_NOT_SET = re.compile(
    r"(?:because no .{1,40} was preset|no (?:ip|gateway|netdetect|address).{0,20} (?:is|was) (?:pre)?set)",
    re.IGNORECASE,
)
_NO_IPV6 = re.compile(r"does not support ipv6", re.IGNORECASE)
#: Failures that say nothing about the network: the tool never got to do its work.
_UNABLE = re.compile(
    r"permission denied|device is not exist|device (?:does|is) not exist|invalid (?:card|device) id|"
    r"input (?:param|parameter) .*(?:error|invalid)|unknown command|command not found|usage\s*:",
    re.IGNORECASE,
)
#: Failures of the work itself.
_FAILED = re.compile(
    r"(?:command|cmd) execute failed|execute failed|tool is busy|control link unreachable|get \w+ failed|"
    r"link status is down|network is unreachable|no route to host|\bfail(?:ed)?[!.]?$",
    re.IGNORECASE,
)


def says_not_set(text: str) -> bool:
    """Whether the tool says, in its own words, that nothing is configured."""
    return any(_NOT_SET.search(x) for x in lines(text))


def says_no_ipv6(text: str) -> bool:
    """Whether the tool says that the device has no IPv6 at all."""
    return any(_NO_IPV6.search(x) for x in lines(text))


def failure(text: str) -> str:
    """The line in which the tool says that the work failed; empty if there is none."""
    return next((x for x in lines(text) if _FAILED.search(x) and not _UNABLE.search(x)), "")


def refuse(text: str) -> None:
    """Stop where the tool only says why it could not answer.

    Raises:
        UnparsedError: with the tool's own words.
    """
    for line in lines(text):
        if _UNABLE.search(line) or _FAILED.search(line):
            raise UnparsedError(f"hccn_tool says: {line}")
