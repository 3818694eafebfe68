# SPDX-License-Identifier: Apache-2.0
"""A mesh of pings as one file beside the evidence: what a report draws, without reading millions of answers again.

It is made of the evidence and of nothing else; the network stage writes it. First a line of JSON, then the columns.
"""

from __future__ import annotations

import json
from array import array
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hakuna.probes.hccn_ping import Ping
from hakuna.probes.mesh import PingMesh
from hakuna.probes.reading import Reading, ReadingState
from hakuna.where import ByPlace, Where

#: The file's name, in the run's folder.
COLUMNS = "mesh.columns"


def save(mesh: PingMesh, path: Path, devices: Sequence[Where]) -> None:
    """Write a mesh of these devices; the file appears whole."""
    places = {place: number for number, place in enumerate(devices)}
    numbers = ByPlace(places)
    lanes: list[dict[str, Any]] = []
    body = bytearray()
    for source, lane in mesh.all_lanes():
        whole = lane.whole.detail if lane.whole else ""
        odd = [[i, r.state.value, r.detail, asdict(r.fact) if r.fact else None] for i, r in lane.odd.items()]
        lanes.append({"from": places[source], "count": lane.count, "source": lane.source, "odd": odd, "whole": whole})
        body += array("I", numbers.all_of(lane.targets)).tobytes() + lane.ms.tobytes()
    unprobed = [[str(place), reading.detail] for place, reading in mesh.unprobed.items()]
    head = {"places": list(map(str, places)), "lanes": lanes, "unprobed": unprobed}
    aside = path.with_suffix(".tmp")
    aside.write_bytes(json.dumps(head).encode() + b"\n" + body)
    aside.replace(path)


def load(path: Path) -> PingMesh:
    """Read what :func:`save` wrote; an empty mesh where there is no such file.

    Raises:
        ValueError, KeyError, IndexError: the file is damaged.
    """
    mesh = PingMesh()
    if not path.is_file():
        return mesh
    text, _, body = path.read_bytes().partition(b"\n")
    head = json.loads(text)
    places = [Where.parse(p) for p in head["places"]]
    at = 0
    for row in head["lanes"]:
        source, count = places[row["from"]], row["count"]
        numbers, ms = array("I"), array("f")
        for column in (numbers, ms):
            column.frombytes(body[at : at + count * column.itemsize])
            at += count * column.itemsize
        lane = mesh.open(source, [places[n] for n in numbers])
        lane.ms, lane.source, lane.slowest = ms, row["source"], max(ms, default=-1.0)
        for i, state, detail, fact in row["odd"]:
            pair = Where.pair(source, lane.targets[i])
            found = Ping(**{**fact, "times_ms": tuple(fact["times_ms"])}) if fact else None
            lane.odd[i] = Reading(pair, ReadingState(state), found, detail, lane.source)
        if row["whole"]:
            lane.whole = Reading(source, ReadingState.LOST, None, row["whole"], lane.source)
    for place, why in head["unprobed"]:
        mesh.leave_out(Where.parse(place), why, "")
    return mesh
