# SPDX-License-Identifier: Apache-2.0
"""The container engines, and what is seen inside a container."""

from __future__ import annotations

import json

import pytest

from hakuna.simulator import processes

IMAGE = "crpi-4crprmm5baj1v8iv.cn-hangzhou.personal.cr.aliyuncs.com/lmdeploy_dlinfer/ascend:a2-latest"
RUN = (
    "docker run -d -it --name hakuna --label hakuna.run=r1 --label hakuna.holder=me@here --net=host --entrypoint /bin/bash "
    "--shm-size=500g --device=/dev/davinci0 --device=/dev/davinci_manager --privileged=true -e A=1 "
    "-v /usr/local/Ascend/driver:/usr/local/Ascend/driver -v /usr/local/sbin/:/usr/local/sbin "
    f"-v /models/model:/models/model:ro -v /tmp/hakuna:/tmp/hakuna {IMAGE}"
)


def do(node, command, stdin=b""):
    result = node.execute(tuple(command.split()), stdin=stdin)
    return result.exit_code, result.stdout.decode(), result.stderr.decode()


@pytest.fixture
def node(cluster):
    node = cluster()["node-b"]
    code, out, _ = do(node, RUN)
    assert code == 0
    assert len(out.strip()) == 64
    return node


def test_inspect_says_what_run_was_given(node):
    (document,) = json.loads(do(node, "docker inspect hakuna")[1])
    host, config = document["HostConfig"], document["Config"]
    assert document["Name"] == "/hakuna"
    assert document["State"]["Running"] is True
    assert (host["NetworkMode"], host["Privileged"], host["ShmSize"]) == ("host", True, 500 * 2**30)
    assert [d["PathInContainer"] for d in host["Devices"]] == ["/dev/davinci0", "/dev/davinci_manager"]
    assert host["Binds"][1] == "/usr/local/sbin/:/usr/local/sbin"
    assert document["Mounts"][1]["Source"] == document["Mounts"][1]["Destination"] == "/usr/local/sbin"
    assert document["Mounts"][2]["RW"] is False
    assert config["Entrypoint"] == ["/bin/bash"]
    assert config["Labels"] == {"hakuna.run": "r1", "hakuna.holder": "me@here"}
    assert "A=1" in config["Env"]
    assert config["Tty"] is True


def test_a_taken_name_is_a_conflict(node):
    code, out, err = do(node, RUN)
    assert (code, out) == (125, "")
    assert err.startswith(
        'docker: Error response from daemon: Conflict. The container name "/hakuna" is already in use'
    )


def test_flags_that_were_left_out_are_dockers_defaults(node):
    do(node, "docker run -d --name plain --device=/dev/davinci1 image:1 sleep inf")
    (document,) = json.loads(do(node, "docker inspect plain")[1])
    host = document["HostConfig"]
    assert (host["NetworkMode"], host["Privileged"], host["ShmSize"]) == ("bridge", False, 64 * 2**20)
    assert document["Config"]["Cmd"] == ["sleep", "inf"]
    assert do(node, "docker exec plain find /dev -name davinci*")[1] == "/dev/davinci1\n"
    assert do(node, "docker exec plain npu-smi info")[0] == 127  # nothing of the driver is mounted
    assert "executable file not found in $PATH" in do(node, "docker exec plain npu-smi info")[2]


def test_ps_lists_by_label(node):
    do(node, "docker run -d --name other image:1")
    rows = [
        json.loads(x)
        for x in do(node, "docker ps -a --no-trunc --filter label=hakuna.run --format {{json .}}")[1].splitlines()
    ]
    assert [r["Names"] for r in rows] == ["hakuna"]
    assert rows[0]["State"] == "running"
    assert "hakuna.run=r1" in rows[0]["Labels"].split(",")
    assert do(node, "docker ps -a --filter label=hakuna.run=r2")[1] == ""
    assert len(do(node, "docker ps -q")[1].splitlines()) == 2


def test_inside_a_container(node):
    assert do(node, "docker exec hakuna df -P -B1 /dev/shm")[1].splitlines()[1].split()[1] == str(500 * 2**30)
    assert do(node, "docker exec hakuna find /dev -name davinci*")[1].count("/dev/davinci") == 9
    assert "Version=25.2.0" in do(node, "docker exec hakuna cat /usr/local/Ascend/driver/version.info")[1]
    assert do(node, "docker exec hakuna cat /etc/hccn.conf")[0] == 1  # not mounted
    assert "config.json\t" in do(node, "docker exec hakuna find /models/model -printf %f")[1]
    assert "Max open files            1048576" in do(node, "docker exec hakuna cat /proc/self/limits")[1]


@pytest.mark.parametrize(
    ("fault", "command", "words"),
    [
        ("shm-small", "docker exec hakuna df -P -B1 /dev/shm", "tmpfs 67108864 "),
        ("driver-inside-differs", "docker exec hakuna cat /usr/local/Ascend/driver/version.info", "Version=24.1.rc3\n"),
        ("model-not-inside", "docker exec hakuna find /models/model -printf %f", "No such file or directory"),
    ],
)
def test_faults_that_are_seen_only_inside(cluster, fault, command, words):
    node = cluster(fault)["node-b"]
    do(node, RUN)
    said = do(node, command)
    assert words in said[1] + said[2]
    outside = do(node, command.removeprefix("docker exec hakuna "))
    assert words not in outside[1] + outside[2]


def test_the_device_that_is_missing_inside(cluster):
    node = cluster("device-not-in-container@node-b/3")["node-b"]
    do(node, RUN)
    assert "/dev/davinci3\n" not in do(node, "docker exec hakuna find /dev -name davinci*")[1]
    assert "/dev/davinci3\n" in do(node, "find /dev -name davinci*")[1]


def test_a_mounted_folder_is_the_hosts(node):
    wrote = node.execute(
        ("docker", "exec", "-i", "hakuna", "sh", "-c", "TEXT", "hakuna-write", "/tmp/hakuna/t.json"), stdin=b"{}"
    )
    assert wrote.stdout == b"wrote /tmp/hakuna/t.json 2\n"
    assert do(node, "cat /tmp/hakuna/t.json")[1] == "{}"
    node.execute(("docker", "exec", "-i", "hakuna", "sh", "-c", "TEXT", "hakuna-write", "/root/own"), stdin=b"x")
    assert do(node, "cat /root/own")[0] == 1
    assert do(node, "docker exec hakuna cat /root/own")[1] == "x"
    do(node, "docker rm -f hakuna")
    assert do(node, "cat /tmp/hakuna/t.json")[1] == "{}"


def test_stdin_goes_inside_only_when_asked(node):
    node.execute(("docker", "exec", "hakuna", "sh", "-c", "TEXT", "hakuna-write", "/root/own"), stdin=b"x")
    assert do(node, "docker exec hakuna cat /root/own") == (0, "", "")


def test_remove_ends_what_runs_inside(node):
    with node.state.transaction() as data:
        inside = processes.start(data, "node-b", ["raylet"], {}, container="hakuna")
        outside = processes.start(data, "node-b", ["sshd"], {})
    assert do(node, "docker rm hakuna")[0] == 1
    assert do(node, "docker rm -f hakuna") == (0, "hakuna\n", "")
    assert [p["pid"] for p in processes.of_node(node.state.read(), "node-b")] == [outside] != [inside]
    assert do(node, "docker inspect hakuna") == (1, "[]\n", "Error: No such object: hakuna\n")
    assert do(node, "docker exec hakuna cat /x") == (1, "", "Error response from daemon: No such container: hakuna\n")
    assert do(node, "docker rm -f hakuna") == (0, "", "")
    assert do(node, RUN)[0] == 0


def test_stop_leaves_the_container(node):
    assert do(node, "docker stop -t 5 hakuna") == (0, "hakuna\n", "")
    assert do(node, "docker exec hakuna cat /x")[2].endswith("is not running\n")
    (document,) = json.loads(do(node, "docker inspect hakuna")[1])
    assert document["State"]["Status"] == "exited"


def test_a_container_that_can_not_start(cluster):
    node = cluster("device-node-missing@node-b/0")["node-b"]
    code, _, err = do(node, RUN)
    assert code == 125
    assert 'error gathering device information while adding custom device "/dev/davinci0"' in err
    assert do(node, "docker ps")[1] == ""
    assert do(cluster("container-refused")["node-b"], RUN)[0] == 125


def test_the_leftover_of_another_run_can_be_removed(cluster):
    node = cluster("leftover-container")["node-b"]
    row = json.loads(do(node, "docker ps -a --filter label=hakuna.run --format {{json .}}")[1])
    assert "hakuna.run=20240102-030405-dead" in row["Labels"]
    assert do(node, f"docker rm -f {row['Names']}")[0] == 0
    assert do(node, "docker ps -a")[1] == ""


def test_version_and_image(cluster):
    nodes = cluster("image-differs@node-b")
    version = json.loads(do(nodes["node-a"], "docker version --format {{json .}}")[1])
    assert version["Server"]["Version"] == "26.1.4"
    digests = [
        json.loads(do(nodes[n], f"docker image inspect {IMAGE}")[1])[0]["RepoDigests"] for n in ("node-a", "node-b")
    ]
    assert digests[0] != digests[1]
    assert digests[0][0].startswith(IMAGE.rpartition(":")[0] + "@sha256:")
    assert "No such image: x:1" in do(nodes["node-a"], "docker image inspect x:1")[2]


def test_a_daemon_that_is_down(cluster):
    node = cluster("engine-down")["node-b"]
    for command in ("docker ps", "docker version --format {{json .}}", "docker inspect hakuna"):
        assert "Is the docker daemon running?" in do(node, command)[2]
    assert do(node, "docker version --format {{json .}}")[1].startswith('{"Client"')


def test_podman_makes_no_folder_for_a_mount_and_lists_no_device_of_a_privileged_container(cluster):
    node = cluster(container={"engine": "podman"})["node-b"]
    run = "podman run -d --name hakuna --privileged=true --device=/dev/davinci3 -v /tmp/hakuna:/tmp/hakuna image:1"
    assert do(node, run)[2] == "Error: statfs /tmp/hakuna: no such file or directory\n"
    do(node, "podman rm -f hakuna")
    do(node, "mkdir -p /tmp/hakuna")
    assert do(node, run)[0] == 0
    document = json.loads(do(node, "podman inspect hakuna")[1])[0]
    assert document["HostConfig"]["Devices"] == []
    assert document["Config"]["CreateCommand"] == run.split()


def test_podman_and_nerdctl_speak_their_own_way(cluster):
    podman = cluster(container={"engine": "podman"})["node-b"]
    do(podman, "podman run -d --name hakuna --label hakuna.run=r1 image:1")
    assert json.loads(do(podman, "podman ps -a --format {{json .}}")[1])[0]["Labels"] == {"hakuna.run": "r1"}
    assert "that name is already in use" in do(podman, "podman run -d --name hakuna image:1")[2]
    for command in ("podman inspect nothing", "podman image inspect x:1", "podman exec nothing ls"):
        assert do(podman, command)[2].startswith("Error: ")
    assert "Server" not in json.loads(do(podman, "podman version --format {{json .}}")[1])
    nerdctl = cluster(container={"engine": "nerdctl"})["node-b"]
    assert json.loads(do(nerdctl, "nerdctl version --format {{json .}}")[1])["Server"]["Components"]
