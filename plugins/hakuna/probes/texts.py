# SPDX-License-Identifier: Apache-2.0
"""Node output as clean lines: without colours, carriage returns, and the command lines that terminals echo."""

from __future__ import annotations

import ipaddress
import json
import re
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from hakuna.probes.reading import UnparsedError

A = TypeVar("A")
T = TypeVar("T")

_ANSI = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[()][0-9A-Za-z])")
_ENDLESS_DIGITS = 1000
_ENDLESS = re.compile(rf"\d{{{_ENDLESS_DIGITS}}}")
#: Terminals and documents show the command in front of its output, in several ways.
_ECHO = re.compile(
    r"""^\s*(?:
        [$>\#](?:\s|\w|\().*                         # "$ cmd", "> cmd", "# cmd", "$for ..."
      | \[?[\w.-]+@[\w.:/~ -]+\]?[\#$>]\s.*          # "[root@node ~]# cmd"
      | (?:/[\w.-]+)+/?[\#$]\s.*                     # "/usr/local/Ascend/driver# cat version.info"
      | (?:\S*/)?(?:hccn_tool|npu-smi)\s+(?:-|info\b).*
      | for\s+\w+\s+in\s.*
    )$""",
    re.VERBOSE,
)
#: One of these stands in every such line: most answers have none, and need no further look.
_ECHO_MARKS = ("$", ">", "#", "hccn_tool", "npu-smi", "for")


def ip_of(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """The text as an address; None when it is none."""
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None


def clean(text: str) -> str:
    """The text without ANSI sequences, with plain newlines."""
    if "\x1b" not in text and "\r" not in text and "\x00" not in text:  # nearly always, and a mesh has 100,000 of them
        return text
    return _ANSI.sub("", text).replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")


def is_echo(line: str) -> bool:
    """Whether a line is a command line that was shown in front of its output."""
    return bool(_ECHO.match(line))


def lines(text: str) -> list[str]:
    """The lines that a tool printed, stripped, without empty ones and without echoed command lines.

    Raises:
        UnparsedError: a number so long that it can only be meant to do harm (int() refuses it).
    """
    if len(text) >= _ENDLESS_DIGITS and _ENDLESS.search(text):
        raise UnparsedError("a number of more than a thousand digits")
    plain = clean(text)
    rows = [x for x in plain.split("\n") if x.strip()]
    if any(mark in plain for mark in _ECHO_MARKS):
        rows = [x for x in rows if not is_echo(x)]
    return [x.strip() for x in rows]


def shown(text: str, limit: int = 160) -> str:
    """The beginning of a text, on one line, for messages."""
    flat = " ".join(clean(text).split())
    return flat if len(flat) <= limit else flat[: limit - 3] + "..."


def unknown(what: str, text: str) -> UnparsedError:
    """The error for a text that holds nothing a parser knows."""
    return UnparsedError(f"not what {what} prints: {shown(text)!r}" if text.strip() else f"{what} printed nothing")


def one(what: str, values: list[str], text: str) -> str:
    """The only value, however often it was printed.

    Raises:
        UnparsedError: there is none, or there are several different ones.
    """
    different = list(dict.fromkeys(values))
    if not different:
        raise unknown(what, text)
    if len(different) > 1:
        raise UnparsedError(f"{what}: several different values: {', '.join(different[:4])}")
    return different[0]


def shaped(parse: Callable[[A], T]) -> Callable[[A], T]:
    """For parsers of JSON: a document of another shape than expected is UNPARSED, never a crash of the run."""

    @wraps(parse)
    def wrapped(answer: A) -> T:
        try:
            return parse(answer)
        except UnparsedError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError) as error:
            raise UnparsedError(f"{parse.__name__}: JSON of an unexpected shape: {error!r}") from error

    return wrapped


def json_document(what: str, text: str) -> Any:
    """The first JSON object or array that begins a line; tools put warnings around it.

    Raises:
        UnparsedError: there is none, or it is cut.
    """
    plain = clean(text)
    decoder = json.JSONDecoder()
    for match in re.finditer(r"^[ \t]*(?=[\[{])", plain, re.MULTILINE):
        try:
            return decoder.raw_decode(plain, match.end())[0]
        except ValueError:  # noqa: PERF203  # a warning that begins with a bracket
            continue
    raise unknown(what, text)


def json_objects(what: str, text: str) -> list[dict[str, Any]]:
    """Every JSON object that begins a line, or the objects of JSON arrays that do; podman spreads them over lines.

    Raises:
        UnparsedError: a line begins like an object and is none.
    """
    found: list[dict[str, Any]] = []
    plain = clean(text)
    decoder = json.JSONDecoder()
    begins = re.compile(r"^[ \t]*(?=[\[{])", re.MULTILINE)
    match = begins.search(plain)
    while match:
        try:
            value, end = decoder.raw_decode(plain, match.end())
        except ValueError as error:
            word = plain[match.end() :].split("\n", 1)[0].strip()
            raise UnparsedError(f"{what}: broken JSON: {shown(word)!r} ({error})") from error
        found += [v for v in (value if isinstance(value, list) else [value]) if isinstance(v, dict)]
        rest = plain[end:].split("\n", 1)[0].strip()
        if rest:
            raise UnparsedError(f"{what}: broken JSON: {shown(rest)!r} after an object")
        match = begins.search(plain, end)
    return found


def program_answer(what: str, text: str) -> dict[str, Any]:
    """The JSON object that a Hakuna program printed as its last line of that kind.

    Raises:
        UnparsedError: there is none.
    """
    for line in reversed(clean(text).split("\n")):
        if line.strip().startswith("{"):
            try:
                value = json.loads(line)
            except ValueError:
                continue
            if isinstance(value, dict):
                return value
    raise unknown(what, text)
