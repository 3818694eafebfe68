# SPDX-License-Identifier: Apache-2.0
"""Makes text that came from a node safe to show: nodes are not trusted, and a terminal obeys control characters."""

from __future__ import annotations

import re
import unicodedata

#: Escape sequences as ECMA-48 has them: CSI, strings (OSC, DCS, SOS, PM, APC) with an end, any other escape.
#: The bounds keep hostile text from making the search quadratic.
_ESCAPES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]{0,256}[ -/]{0,16}[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x80-\x9f]{0,4096}(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]{0,16}[0-~]"
)
#: What XML 1.0 (section 2.2, Char) does not allow.
_NOT_XML = re.compile("[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")
#: Control, format (bidi overrides, zero width) and surrogate characters.
_UNSEEN = frozenset({"Cc", "Cf", "Cs"})


def clean(text: str) -> str:
    """Take escape sequences and unseen characters out of a text; line ends stay, tabs become spaces."""
    if text.isascii() and text.isprintable():
        return text
    text = _ESCAPES.sub("", text).replace("\r\n", "\n").replace("\t", " ")
    return "".join(_shown(c) for c in text)


def one_line(text: str, limit: int = 0) -> str:
    """Clean a text and put it on one line; cut with a mark if it is longer than ``limit`` characters (0: never)."""
    line = " ".join(clean(text).split())
    return line if not limit or len(line) <= limit else line[: limit - 1].rstrip() + "…"


def lines(text: str) -> list[str]:
    """Give the lines of a text, cleaned, without empty ones."""
    return [line.rstrip() for line in clean(text).split("\n") if line.strip()]


def for_xml(text: str) -> str:
    """Clean a text and take out the characters that XML 1.0 forbids."""
    return _NOT_XML.sub("", clean(text))


#: Words of rules' names that are written otherwise than a function's name can be.
_SPELLED = {
    "tls": "TLS", "npu": "NPU", "npus": "NPUs", "ip": "IP", "ips": "IPs", "hccl": "HCCL", "cann": "CANN", "tcp": "TCP",
    "lmdeploy": "LMDeploy", "ray": "Ray", "gcs": "GCS", "lldp": "LLDP", "api": "API", "ssh": "ssh", "hccn": "hccn",
    "json": "JSON", "ascend": "Ascend", "smi": "smi", "tp": "tp", "gloo": "gloo", "guides": "guide's", "hosts": "hosts",
}  # fmt: skip


def headline(title: str) -> str:
    """A rule's title for people: ``TLS switch is the same on every device``."""
    words = [_SPELLED.get(word, word) for word in title.split()]
    text = " ".join(words).replace("NPU smi", "npu-smi")
    return text[:1].upper() + text[1:] if text and words[0] not in ("tp", "ssh", "gloo", "hccn") else text


def plural(count: int, noun: str) -> str:
    """``1 check``, ``3 checks``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _shown(char: str) -> str:
    if char == "\n":
        return char
    category = unicodedata.category(char)
    if category in ("Zl", "Zp"):
        return " "
    return "" if category in _UNSEEN else char
