# SPDX-License-Identifier: Apache-2.0
"""One batch as one script for ``/bin/sh``, and what comes back as outcomes.

Quoting happens here and nowhere else. The stream that comes back holds frames; each starts with a line that only
this batch's script can know (a random nonce) and carries the lengths of what follows:

- ``@NONCE B VERSION UPTIME``: the script runs;
- ``@NONCE F INDEX STATUS FLAG START END OUT ERR``: OUT bytes of stdout and ERR bytes of stderr follow, then
  ``@NONCE ;``. FLAG holds ``T`` when the command was ended at its deadline, ``L`` when its output was still open
  after its end and has been filled up after ``@NONCE p``; START and END are seconds since the node's boot;
- ``@NONCE D INDEX``: the command ran, but its output could not be kept on the node (full disk);
- ``@NONCE X WORDS``: nothing was run, and why;
- ``@NONCE .``: a sign of life;
- ``@NONCE E COUNT``: the end; every command has reported.
"""

from __future__ import annotations

import math
import posixpath
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from hakuna.evidence import OUTPUT_LIMIT, Batch, Command, Ending, NodeTrouble, Outcome, Trouble
from hakuna.transports.node_script import BODY, COMMAND_PATH, FRAMES_VERSION, HEAD

#: Seconds that ending one command may take beyond its deadline: TERM, two seconds, KILL, two seconds, and ticks.
END_GRACE = 6.0
#: Seconds added to a batch's limit for the shell itself.
BATCH_MARGIN = 15.0
#: Seconds between signs of life from a node that has nothing to report.
HEARTBEAT = 5.0

_TICK = 0.5
_DEFAULT_DEADLINE = 20.0
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
#: Names that a shell owns: assigning them fails, or changes how it reads the script.
_SHELL_NAMES = frozenset(
    ["IFS", "OPTIND", "PPID", "UID", "EUID", "GROUPS", "BASHOPTS", "SHELLOPTS", "BASH_VERSINFO", "SHLVL", "_"]
)
_MAX_LINE = 200


def batch_limit(batch: Batch) -> float:
    """Seconds after which a node that works must have reported the whole batch."""
    lanes: dict[str, float] = {}
    for command in batch:
        lanes[command.lane] = lanes.get(command.lane, 0.0) + command.deadline + END_GRACE
    return max(lanes.values(), default=0.0) + BATCH_MARGIN


def new_nonce() -> str:
    """What no output can know: 128 random bits."""
    return secrets.token_hex(16)


def quote(text: str) -> bytes:
    """``text`` as one word of sh, whatever it holds.

    Raises:
        ValueError: it holds a NUL, which no argument can.
    """
    if "\0" in text:
        raise ValueError("an argument can not hold a NUL character")
    return b"'" + text.encode("utf-8", "surrogateescape").replace(b"'", b"'\\''") + b"'"


def script(batch: Batch, nonce: str) -> bytes:
    """The script that runs ``batch``; it goes to the standard input of ``/bin/sh -s``.

    Raises:
        ValueError: a command that can not be run by a shell: no words, NUL characters, a program name that starts with
            a dash, or a name in ``env`` that is no name or belongs to the shell.
    """
    lanes: dict[str, list[int]] = {}
    parts = [_fill(HEAD, nonce, len(batch))]
    names = ["ev"]
    files: list[bytes] = []
    for index, command in enumerate(batch):
        lanes.setdefault(command.lane, []).append(index)
        names += [] if command.query else [f"{index}.o", f"{index}.e"]
        parts.append(_definition(index, command))
        if command.stdin:
            files.append(_stdin_file(index, command.stdin))
    wanted = " ".join(names)
    parts.append(
        (
            f'F=$(cd "$D" && exec mkfifo {wanted} 2>&1) || die "scratch $F"\n'
            'exec 8<>"$D/ev"\n'
            f'{{ printf \'\\n@{nonce} ;\\n\' >"$D/tail" && [ -s "$D/tail" ]; }} 2>/dev/null'
            " || die 'scratch no space left for output'\n"
        ).encode()
    )
    parts += files
    limit = math.ceil((batch_limit(batch) + 60) * 100)
    parts.append(f"Q={OUTPUT_LIMIT}\nY={int(_DEFAULT_DEADLINE * 100)}\nend=$((${{T%%.*}}${{T#*.}}+{limit}))\n".encode())
    parts.append(_fill(BODY, nonce, len(batch)))
    elements = []
    for number, indexes in enumerate(lanes.values()):
        words = " ".join(map(str, indexes))
        parts.append(f"ll_{number}=' {words} '\n".encode())
        elements.append(f"L {number} {words} | ")
    parts.append(("".join(elements) + "M\nexit\n}\n").encode())
    return b"".join(parts)


def _fill(template: str, nonce: str, count: int) -> bytes:
    words = {
        "<NONCE>": nonce,
        "<PATH>": COMMAND_PATH,
        "<COUNT>": str(count),
        "<VERSION>": str(FRAMES_VERSION),
        "<BEAT>": str(int(HEARTBEAT / _TICK)),
        "<TICK>": str(_TICK),
    }
    for word, value in words.items():
        template = template.replace(word, value)
    return template.encode()


def _definition(index: int, command: Command) -> bytes:
    """The function ``C<index>``, and the settings that are not the default."""
    if not command.argv or not command.argv[0] or command.argv[0].startswith("-"):
        raise ValueError(f"{command.id}: a command needs a program, and its name can not start with a dash")
    assignments = b""
    for name, value in command.env.items():
        if not _ENV_NAME.fullmatch(name) or name in _SHELL_NAMES:
            raise ValueError(f"{command.id}: {name!r} can not be set in a command's environment")
        assignments += name.encode() + b"=" + quote(value) + b"; export " + name.encode() + b"\n"
    program = quote(command.argv[0])
    words = b" ".join(quote(word) for word in command.argv)
    stdin = f'exec <"$D/{index}.i"\n'.encode() if command.stdin else b""
    if command.sudo:
        # sudo looks in its own path, where Ascend's tools are not: it gets the place that the command's PATH gives.
        inside = b"".join(b" " + quote(f"{k}={v}") for k, v in command.env.items())
        rest = b"".join(b" " + quote(word) for word in command.argv[1:])
        env = b"env" + inside + b" " if inside else b""
        words = b"sudo -n -- " + env + b'"$w"' + rest
    if command.spawn_log:
        body = stdin + _spawn(command, assignments, program, words)
    elif command.sudo:
        body = stdin + assignments + b"W " + program + b"\nexec " + words + b"\n"
    else:
        body = stdin + assignments + b"exec " + words + b"\n"
    return f"C{index}() {{\n".encode() + body + b"}\n" + _settings(index, command)


def _settings(index: int, command: Command) -> bytes:
    """What is not the default, as the script's variables."""
    settings = ""
    if command.output_limit != OUTPUT_LIMIT:
        settings += f"q_{index}={max(0, int(command.output_limit))}\n"
    if command.deadline != _DEFAULT_DEADLINE:
        settings += f"d_{index}={max(1, math.ceil(command.deadline * 100))}\n"
    if command.sudo:
        settings += f"z_{index}=1\n"
    if command.step_deadline:
        settings += f"n_{index}={max(1, math.ceil(command.step_deadline * 100))}\n"
    if command.query:
        settings += f"h_{index}=1\n"
    return settings.encode()


def _spawn(command: Command, assignments: bytes, program: bytes, words: bytes) -> bytes:
    """Start detached: a session of its own, nothing of the channel's; the process id is that of the program."""
    log = quote(command.spawn_log)
    folder = quote(posixpath.dirname(command.spawn_log) or ".")
    return (
        assignments
        + b"W " + program + b" || { printf '%s: not found\\n' " + program + b" >&2; exit 127; }\n"
        + b"mkdir -p -- " + folder + b" && : >>" + log + b" || exit 1\n"
        + b"S=$(command -v setsid)\n"
        # What a shell puts into the background reads /dev/null (POSIX, 2.9.3.1): the input goes around that.
        + (b"exec 5<&0\n" if command.stdin else b"")
        + b"( trap '' HUP; exec >>" + log + b" 2>&1" + (b" <&5 5<&-" if command.stdin else b" </dev/null")
        + b"; exec $S " + words + b" ) &\n"
        + b'echo "$!"\n'
        + b"exit 0\n"
    )  # fmt: skip


def _stdin_file(index: int, data: bytes) -> bytes:
    """Lines that write ``data`` to the command's input file; octal, as that is what every printf reads."""
    plain = frozenset(b'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ :,.{}[]()"/=_+-\n#')
    lines = [b"{\n"]
    for start in range(0, len(data), 2000):
        text = b"".join(bytes([b]) if b in plain else b"\\%03o" % b for b in data[start : start + 2000])
        # A format that starts with a dash would be read as an option.
        if text.startswith(b"-"):
            text = b"\\055" + text[1:]
        lines.append(b"printf '" + text + b"' &&\n")
    lines.append(f":; }} 2>/dev/null >\"$D/{index}.i\" || die 'scratch no space left for standard input'\n".encode())
    return b"".join(lines)


@dataclass(frozen=True)
class _Header:
    """The head line of a frame that is being read: where its payload starts, and what it says."""

    index: int
    status: int
    flag: str
    start: float
    end: float
    out: int
    err: int


def _most(command: Command) -> int:
    """Bytes of a stream that the script keeps: one beyond the limit, and of a query whole blocks (``ulimit -f``)."""
    return (command.output_limit // 512 + 1) * 512 if command.query else command.output_limit + 1


class Decoder:
    """Reads the stream of one batch, in pieces of any size.

    ``begun``: the script started. ``ended``: the end mark was read, nothing more will come. ``problem``: the
    script's own words when the node could not run it or keep output (empty: none).
    """

    def __init__(self, batch: Batch, nonce: str) -> None:
        self._commands = batch.commands
        self._mark = f"\n@{nonce} ".encode()
        self._tail = f"\n@{nonce} ;\n".encode()
        self._pad = f"\n@{nonce} p\n".encode()
        self._buffer = bytearray()
        self._header: _Header | None = None
        self._done: dict[int, Outcome] = {}
        self._uptime = 0.0
        self._refused = False
        self.begun = False
        self.ended = False
        self.problem = ""
        self._noise = b""

    def feed(self, data: bytes) -> None:
        """Take the next piece of the stream."""
        self._buffer += data
        while not self.ended and (self._payload() if self._header else self._line()):
            pass

    def _line(self) -> bool:
        """Read up to the next line of our own; true if there may be more to read."""
        at = self._buffer.find(self._mark)
        if at < 0:
            # All but the possible start of a mark is not ours.
            self._skip(max(0, len(self._buffer) - len(self._mark) + 1))
            return False
        stop = self._buffer.find(b"\n", at + len(self._mark), at + len(self._mark) + _MAX_LINE)
        if stop < 0:
            self._skip(at)
            if len(self._buffer) < len(self._mark) + _MAX_LINE:
                return False
            self._skip(len(self._mark))  # not a line that the script writes
            return True
        line = bytes(self._buffer[at + len(self._mark) : stop]).decode("ascii", "replace")
        self._skip(at)
        # The newline that ends this line may also start the next mark, but every mark brings its own.
        del self._buffer[: stop - at + 1]
        self._read(line)
        return True

    def _skip(self, count: int) -> None:
        if not self.begun and len(self._noise) < _MAX_LINE * 10:
            self._noise += bytes(self._buffer[: min(count, _MAX_LINE * 10)])
        del self._buffer[:count]

    def _read(self, line: str) -> None:
        kind, _, rest = line.partition(" ")
        words = rest.split()
        try:
            if kind == "B":
                self.begun, self._uptime = True, float(words[1])
            elif kind == "F" and self.begun and len(words) == len(_Header.__dataclass_fields__):
                header = _Header(
                    int(words[0]),
                    int(words[1]),
                    words[2],
                    float(words[3]),
                    float(words[4]),
                    int(words[5]),
                    int(words[6]),
                )
                limit = _most(self._commands[header.index]) if header.index >= 0 else -1
                if header.index not in self._done and 0 <= header.out <= limit and 0 <= header.err <= limit:
                    self._header = header
            elif kind == "D":
                self._lose(int(words[0]))
            elif kind == "X":
                self.problem, self._refused, self.ended = rest, True, True
            elif kind == "E":
                self.ended = True
        except (ValueError, IndexError):
            # Not a line that the script writes: what it stood for stays without an outcome.
            self.problem = self.problem or "the node sent a damaged frame"

    def _lose(self, index: int) -> None:
        command = self._commands[index]
        self.problem = self.problem or "scratch no space left for output"
        self._done.setdefault(index, Outcome(command.id, Ending.LOST))

    def _payload(self) -> bool:
        header = self._header
        if header is None:  # pragma: no cover - feed() asks only when there is one
            return False
        total = header.out + header.err
        if len(self._buffer) < total + len(self._tail):
            return False
        self._header = None
        if not self._buffer.startswith(self._tail, total):
            # The node wrote less than it said. Read on from here: the next mark is found wherever it is.
            self.problem = self.problem or "the node sent a damaged frame"
            return True
        command = self._commands[header.index]
        limit = command.output_limit
        timed_out = "T" in header.flag
        out = bytes(self._buffer[: header.out])
        err = bytes(self._buffer[header.out : total])
        if "L" in header.flag:
            out, err = self._unpad(out), self._unpad(err)
        del self._buffer[: total + len(self._tail)]
        self._done[header.index] = Outcome(
            command.id,
            Ending.TIMED_OUT if timed_out else Ending.EXITED,
            -1 if timed_out else header.status,
            out[:limit],
            err[:limit],
            len(out) > limit,
            len(err) > limit,
            round(max(0.0, header.start - self._uptime), 2),
            round(max(0.0, header.end - header.start), 2),
        )
        return True

    def _unpad(self, data: bytes) -> bytes:
        """Cut off what the node's script added after the output, or the part of it that fitted in."""
        at = data.find(self._pad)
        if at >= 0:
            return data[:at]
        for size in range(len(self._pad) - 1, 0, -1):
            if data.endswith(self._pad[:size]):
                return data[:-size]
        return data

    @property
    def noise(self) -> bytes:
        """What was printed before the script began, bounded."""
        return self._noise if self.begun else self._noise + bytes(self._buffer[: _MAX_LINE * 10])

    @property
    def complete(self) -> bool:
        """Whether every command has an outcome of its own."""
        return self.ended and len(self._done) == len(self._commands) and not self.problem

    def outcomes(self, *, sent: bool = True) -> Mapping[str, Outcome]:
        """An outcome for every command, from what has been read so far.

        ``sent``: the script may have reached the node. A command without a frame is then LOST, as it may have run,
        unless the script itself said that it ran nothing.
        """
        never = self._refused or not (sent or self.begun)
        missing = Ending.NOT_RUN if never else Ending.LOST
        return {c.id: self._done.get(i) or Outcome(c.id, missing) for i, c in enumerate(self._commands)}


def scratch_trouble(name: str, problem: str) -> NodeTrouble:
    """What a script's own words (:attr:`Decoder.problem`) mean for the node called ``name``."""
    if problem.startswith("scratch"):
        words = problem.removeprefix("scratch").strip()
        return NodeTrouble(
            Trouble.CUT,
            f"{name}: the node can not keep the output of commands: {words[:300]}",
            "df -h $TMPDIR /dev/shm /tmp; df -i $TMPDIR /dev/shm /tmp; ls -ld $TMPDIR /dev/shm /tmp "
            "(there must be room, and the user must be able to write)",
        )
    return NodeTrouble(Trouble.CUT, f"{name}: the batch went wrong on the node: {problem[:300]}")
