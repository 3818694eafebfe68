# SPDX-License-Identifier: Apache-2.0
"""The simulated programs print what the parsers of the real ones read."""

from __future__ import annotations

import json

import pytest

from hakuna.probes.collective import parse_collective
from hakuna.probes.versions import parse_packages


def program(cluster, name, *words, **more):
    result = cluster.run("python3", "-c", "text", f"hakuna-{name}", *words, **more)
    return result, json.loads(result.stdout.decode().splitlines()[-1])


@pytest.mark.parametrize("version", ["0.11.1", "0.14.0", "0.18.0"])
def test_versions(cluster, version):
    one = cluster(lmdeploy_version=version)
    found = parse_packages(one.text("python3", "-c", "text", "hakuna-versions"))
    assert found.python == "3.11.10"
    assert found.packages["lmdeploy"] == version
    assert found.packages["ray"] == "2.46.0"
    assert found.packages["torch"] == found.packages["torch-npu"] == "2.8.0"
    assert set(found.packages) == {"lmdeploy", "ray", "torch", "torch-npu", "dlinfer-ascend", "transformers"}


def test_the_collective(cluster):
    one = cluster()
    one.start_ray()
    text = one.text("python3", "-c", "text", "hakuna-collective", "8", "1048576", "67108864")
    found = parse_collective(text)
    assert (found.backend, found.world_size, found.error) == ("hccl", 16, "")
    assert [(r.rank, r.node_ip, r.device) for r in found.ranks][7:9] == [(7, "10.0.0.1", 7), (8, "10.0.0.2", 0)]
    assert [r.bytes for r in found.rounds] == [8, 1048576, 67108864]
    assert not any(r.wrong_ranks for r in found.rounds)
    assert [r.gbps for r in found.rounds] == sorted(r.gbps for r in found.rounds)
    again = parse_collective(one.text("python3", "-c", "text", "hakuna-collective", "8", "1048576", "67108864"))
    assert again == found


def test_the_collective_covers_what_is_there(cluster):
    one = cluster(faults=["worker-missing@node-1"])
    one.start_ray()
    assert program(one, "collective", "8")[1]["world_size"] == 8


def test_the_collective_without_npus(cluster):
    one = cluster(nodes=1, faults=["npu-resource-zero@node-0"])
    one.start_ray()
    result, answer = program(one, "collective", "8")
    assert result.exit_code == 1
    assert answer == {"error": "RuntimeError: the Ray cluster offers no NPU"}


def test_the_collective_beside_a_server(cluster):
    one = cluster()
    one.start_ray()
    one.serve()
    result, answer = program(one, "collective", "8")
    assert (result.exit_code, list(answer)) == (1, ["error"])


def test_pipeline(cluster):
    one = cluster()
    one.start_ray()
    result, answer = program(one, "pipeline", "/models/model", "16", "Hakuna Matata", env=one.write_table())
    assert result.exit_code == 0
    assert answer["text"] == "Hakuna Matata! It means no worries for the rest of your days. (simulated LMDeploy 0.14.0)"
    assert (answer["input_tokens"], answer["output_tokens"]) == (2, 15)
    assert answer["seconds"] > 0


def test_pipeline_with_garbage(cluster):
    one = cluster(faults=["garbage-generation"])
    one.start_ray()
    texts = [
        program(one, "pipeline", "/models/model", "16", "Hakuna Matata", env=one.write_table())[1]["text"]
        for _ in range(2)
    ]
    assert texts[0] != texts[1]
    assert "Hakuna" not in texts[0]


def test_pipeline_fails_as_the_server_would(cluster):
    one = cluster()
    one.start_ray()
    env = {**one.write_table(), "ASCEND_RANK_TABLE_FILE_PATH": "/nowhere.json"}
    result, answer = program(one, "pipeline", "/models/model", "16", "Hakuna Matata", env=env)
    assert result.exit_code == 1
    assert answer["error"] == "FileNotFoundError: [Errno 2] No such file or directory: '/nowhere.json'"


def test_pipeline_waits_for_npus_for_ever(cluster):
    one = cluster()
    one.start_ray()
    result = one.run("python3", "-c", "x", "hakuna-pipeline", "/models/model", "17", "Hakuna", env=one.write_table())
    assert result.timed_out
