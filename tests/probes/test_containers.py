# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from hakuna.evidence import Command
from hakuna.inventory.model import Container, Engine, Inventory, Node, RankTable, Server
from hakuna.probes import containers
from hakuna.probes.reading import UnparsedError

SAMPLES = Path(__file__).parent / "samples"
NODE = Node(name="node-a", address="10.0.0.1", node_ip="10.0.0.1")
HEX = "4f66ad9a0b2e6a0c2f0a9ad0d5dcd5f2b3e5d5dd8a1b4a9b4f0e1c2d3b4a5f6e"

#: Section 1 of the guide, word for word.
GUIDE = [
    "--net=host",
    "--entrypoint",
    "/bin/bash",
    "--shm-size=500g",
    "--device=/dev/davinci0",
    "--device=/dev/davinci1",
    "--device=/dev/davinci2",
    "--device=/dev/davinci3",
    "--device=/dev/davinci4",
    "--device=/dev/davinci5",
    "--device=/dev/davinci6",
    "--device=/dev/davinci7",
    "--device=/dev/davinci_manager",
    "--device=/dev/devmm_svm",
    "--device=/dev/hisi_hdc",
    "--privileged=true",
    "-v",
    "/usr/local/Ascend/driver:/usr/local/Ascend/driver",
    "-v",
    "/usr/local/Ascend/add-ons/:/usr/local/Ascend/add-ons",
    "-v",
    "/usr/local/sbin/:/usr/local/sbin",
    "-v",
    "/usr/local/sbin/npu-smi:/usr/local/sbin/npu-smi",
    "-v",
    "/usr/log/npu/conf/slog/slog.conf:/var/log/npu/conf/slog/slog.conf",
    "-v",
    "/var/log/npu/slog/:/var/log/npu/slog/",
    "-v",
    "/var/log/npu/profiling/:/var/log/npu/profiling/",
    "-v",
    "/var/log/npu/dump/:/var/log/npu/dump/",
    "-v",
    "/var/log/npu/:/usr/slog",
    "-v",
    "/lib/modules:/lib/modules",
]


def inventory(engine: Engine = Engine.DOCKER, **container) -> Inventory:
    return Inventory(nodes=(NODE,), container=Container(engine=engine, **container))


def test_the_guides_run_flag_for_flag():
    command = containers.run(inventory(), NODE, {"HAKUNA_RUN": "run-1", "HAKUNA_HOLDER": "me@here:1"})
    words = list(command.argv)
    assert words[:2] == ["docker", "run"]
    assert words[2:8] == ["-d", "-it", "--name", "hakuna", "--label", "hakuna.run=run-1"]
    assert words[8:10] == ["--label", "hakuna.holder=me@here:1"]
    assert words[10 : 10 + len(GUIDE)] == GUIDE
    assert words[10 + len(GUIDE) :] == [
        "-v",
        "/models/model:/models/model",
        "-v",
        "/tmp/hakuna:/tmp/hakuna",
        inventory().container.image,
    ]
    assert command.mutates


def test_what_a_site_changes_is_in_the_command():
    site = Inventory(
        nodes=(Node(name="a", address="a", node_ip="10.0.0.1", device_ids=(4, 5)),),
        container=Container(
            engine=Engine.NERDCTL, mounts=("/data:/models:ro",), privileged=False, extra_args=("--cpus", "8")
        ),
        rank_table=RankTable(path="/etc/table/rt.json"),
        server=Server(log="/models/log/server.log"),
    )
    words = containers.run(site, site.nodes[0], {}).argv
    assert words[:4] == ("nerdctl", "run", "-d", "-t")  # nerdctl refuses -i together with -d
    assert "--privileged=true" not in words
    assert [w for w in words if w.startswith("--device=/dev/davinci")][:2] == [
        "--device=/dev/davinci4",
        "--device=/dev/davinci5",
    ]
    assert words[-3:-1] == ("--cpus", "8")
    mounts = containers.asked_mounts(site)
    assert mounts[-2:] == ("/data:/models", "/etc/table:/etc/table")  # model and log are covered by /models
    assert "/usr/local/Ascend/add-ons:/usr/local/Ascend/add-ons" in mounts


def test_inside_moves_environment_and_stdin_into_the_container():
    command = Command("x", ("ray", "status"), env={"A": "b c"}, spawn_log="/tmp/x.log", mutates=True, deadline=7)
    moved = containers.inside(inventory(), command)
    assert moved.argv == ("docker", "exec", "-e", "A=b c", "hakuna", "ray", "status")
    assert (moved.env, moved.spawn_log, moved.mutates, moved.deadline) == ({}, "/tmp/x.log", True, 7)
    assert containers.inside(inventory(), Command("x", ("cat",), stdin=b"x")).argv[2] == "-i"
    assert containers.inside(inventory(), Command("x", ("cat",)), interactive=True).argv[2] == "-i"
    assert containers.inside(inventory(Engine.NONE), command) == replace(command, bare=command)


@pytest.mark.parametrize(
    ("build", "argv"),
    [
        (containers.version, ("podman", "version", "--format", "{{json .}}")),
        (containers.inspect, ("podman", "inspect", "hakuna")),
        (lambda i: containers.remove(i, ["0123abc"]), ("podman", "rm", "-f", "0123abc")),
        (
            containers.ps_labelled,
            ("podman", "ps", "-a", "--no-trunc", "--filter", "label=hakuna.run", "--format", "{{json .}}"),
        ),
    ],
)
def test_commands_are_the_documented_ones(build, argv):
    assert build(inventory(Engine.PODMAN)).argv == argv


def test_inspect_of_docker():
    info = containers.parse_inspect((SAMPLES / "docker_inspect.json").read_text(encoding="utf-8") + "WARNING: x\n")
    assert (info.name, info.running, info.privileged, info.network_mode) == ("hakuna", True, True, "host")
    assert info.shm_bytes == 500 * 2**30
    assert info.npus == (0, 10)
    assert info.entrypoint == "/bin/bash"
    assert info.env == ("PATH", "HF_TOKEN")  # names, never values
    assert info.labels["hakuna.run"] == "run-1"
    assert set(info.mounts) == {
        "/usr/local/Ascend/add-ons:/usr/local/Ascend/add-ons",
        "/models/model:/models/model",
        "/lib/modules:/lib/modules",
    }


def test_inspect_of_podman():
    document = {
        "Id": HEX,
        "Name": "hakuna",
        "State": {"Status": "exited", "Running": False},
        "Image": HEX,
        "ImageDigest": f"sha256:{HEX}",
        "HostConfig": {"NetworkMode": "host", "Privileged": False, "ShmSize": 65536000, "Devices": [], "Binds": None},
        "Config": {"Entrypoint": "/bin/bash", "Labels": None, "Env": None},
        "Mounts": None,
    }
    info = containers.parse_inspect(json.dumps([document]))
    assert (info.running, info.image_id, info.entrypoint, info.mounts) == (False, f"sha256:{HEX}", "/bin/bash", ())


def test_a_real_podman_lists_no_devices_of_a_privileged_container():
    """What podman 4.3.1 said of the guide's run on a lab host; its devices are in the command line that it keeps."""
    info = containers.parse_inspect((SAMPLES / "podman-4.3.1-inspect.json").read_text())
    assert info.privileged
    assert info.devices == ("/dev/davinci0", "/dev/davinci_manager")
    assert info.npus == (0,)
    assert (info.network_mode, info.shm_bytes, info.entrypoint) == ("host", 500 * 2**30, "/bin/bash")
    assert info.mounts == ("/usr/local/sbin:/usr/local/sbin", "/lib/modules:/lib/modules")
    (row,) = containers.parse_ps((SAMPLES / "podman-4.3.1-ps.json").read_text())
    assert (row.id, row.state, row.labels) == (info.id, "running", {"hakuna.run": "1"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("Error: statfs /tmp/hakuna: no such file or directory", "statfs"),
        ("Error: stat /dev/davinci99: no such file or directory", "davinci99"),
        ('Error: creating container storage: the container name "x" is already in use by 8da7.', "already in use"),
    ],
)
def test_what_a_real_podman_refuses_is_told(words, message):
    said = 'time="2026-11-24T19:02:23Z" level=warning msg="The input device is not a TTY. The --tty and --interactive"'
    started = containers.parse_run(f"{said}\n{words}\n")
    assert not started.ok
    assert message in started.message


@pytest.mark.parametrize("text", ["[]\nError: No such object: hakuna", "[]", "", "{}", "[{}, {}]"])
def test_no_container_is_no_fact(text):
    with pytest.raises(UnparsedError):
        containers.parse_inspect(text)


def test_engine_versions():
    docker = '{"Client":{"Version":"27.0.3","DefaultAPIVersion":"1.46"},"Server":%s}\n'
    up = containers.parse_version(docker % '{"Version":"27.0.3"}')
    assert (up.client, up.server, up.running) == ("27.0.3", "27.0.3", True)
    words = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"
    down = containers.parse_version(docker % "null" + words)
    assert (down.running, down.message) == (False, words)
    assert not containers.parse_version(docker % "null").running
    podman = containers.parse_version('{"Client":{"APIVersion":"4.9.3","Version":"4.9.3"}}')
    assert (podman.server, podman.running) == (None, True)
    nerdctl = '{"Client":{"Version":"v1.7.0"},"Server":{"Components":[{"Name":"containerd","Version":"v1.7.2"}]}}'
    assert containers.parse_version(nerdctl).server == "v1.7.2"
    with pytest.raises(UnparsedError):
        containers.parse_version("unknown flag: --format")


def test_images():
    text = json.dumps([{"Id": f"sha256:{HEX}", "RepoDigests": ["reg/b@sha256:bb", "reg/a@sha256:aa"]}])
    assert containers.parse_image(text).digest == "sha256:aa"
    assert containers.parse_image(json.dumps([{"Id": HEX}])).digest == f"sha256:{HEX}"
    for words in ("[]\nError response from daemon: No such image: x:y", "Error: x:y: image not known"):
        assert containers.parse_image(words) == containers.ImageInfo(None)
    with pytest.raises(UnparsedError):
        containers.parse_image("permission denied")


def test_run_says_what_became_of_it():
    pulled = f"Unable to find image 'x:y' locally\ny: Pulling from x\n{HEX}\n"
    assert containers.parse_run(pulled) == containers.Started(True, HEX)
    conflict = 'docker: Error response from daemon: Conflict. The container name "/hakuna" is already in use.'
    assert containers.parse_run(conflict) == containers.Started(False, "", conflict)
    gone = "docker: Error response from daemon: error gathering device information: no such file or directory"
    assert containers.parse_run(f"{HEX}\n{gone}") == containers.Started(False, HEX, gone)
    with pytest.raises(UnparsedError):
        containers.parse_run("")


def test_rows_of_three_engines():
    docker = '{"ID":"4f66","Names":"hakuna","Image":"x:y","State":"running","Labels":"hakuna.run=r1,hakuna.holder=me"}'
    podman = '{"Id":"4f66","Names":["hakuna"],"Image":"x:y","State":"exited","Labels":{"hakuna.run":"r1"}}'
    nerdctl = '{"ID":"4f66","Names":"hakuna","Image":"x:y","Status":"Up","Labels":"hakuna.run=r1"}'
    rows = containers.parse_ps(f"{docker}\n{podman}\n{nerdctl}")
    assert {(r.id, r.name, r.labels["hakuna.run"]) for r in rows} == {("4f66", "hakuna", "r1")}
    assert [r.state for r in rows] == ["running", "exited", "up"]
    assert containers.parse_ps(f"[{podman}]")[0].state == "exited"
    assert containers.parse_ps("") == ()
    assert containers.parse_ps("[]") == ()
    for bad in ("Cannot connect to the Docker daemon", '{"ID":', "CONTAINER ID   NAMES   STATUS\nnonsense"):
        with pytest.raises(UnparsedError):
            containers.parse_ps(bad)
