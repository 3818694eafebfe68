# SPDX-License-Identifier: Apache-2.0
"""The inventory: what a deployment is meant to be. The guide's own values are the defaults, flag for flag."""

from __future__ import annotations

import enum
import ipaddress
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from hakuna.where import Where

Port = Annotated[int, Field(ge=1, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=63)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Chip(enum.Enum):
    """The Ascend machines that the rules know."""

    ATLAS_800T_A2 = "atlas-800t-a2"  # 910B, 8 devices, HCCL rank table 1.0
    ATLAS_800T_A3 = "atlas-800t-a3"  # 910_93, 16 dies as devices, rank table 1.2 with super pods
    ATLAS_300I_DUO = "atlas-300i-duo"  # 310P, graph mode only


class Engine(enum.Enum):
    """What runs the container of section 1 of the guide; ``none`` runs everything on the host itself."""

    DOCKER = "docker"
    PODMAN = "podman"
    NERDCTL = "nerdctl"
    NONE = "none"


class RankTableMode(enum.Enum):
    """``auto`` writes a table when the LMDeploy version reads one; ``off`` never; ``required`` always."""

    AUTO = "auto"
    REQUIRED = "required"
    OFF = "off"


class HttpRoute(enum.Enum):
    """How HTTP reaches the api_server: straight, through an ssh tunnel, or from the node's own loopback."""

    DIRECT = "direct"
    TUNNEL = "tunnel"


class Layout(enum.Enum):
    """How the devices' network is wired: a switch reaches every pair, fibre only same-index devices."""

    SWITCHED = "switched"
    RAIL = "rail"


class Ssh(_Model):
    """How to log in; what is left out comes from ``~/.ssh/config`` and the agent."""

    user: str = ""
    port: Port | None = None
    key: str = ""  # path of the private key
    jump: str = ""  # jump host, "user@host:port", or several joined by commas
    known_hosts: str = ""  # another file than ~/.ssh/known_hosts
    host_key: str = Field(default="verify", pattern="^(verify|accept-unknown)$")
    sudo: bool = False  # run commands that need root with "sudo -n"
    connect_timeout: Seconds = 10.0


class Node(_Model):
    """One server. ``node_ip`` is the host network's address that Ray, gloo and HCCL use on ``interface``."""

    name: Name
    address: str  # where ssh connects to: name or IP
    node_ip: str
    interface: str = Field(default="eth0", pattern=r"^[^\s/]{1,15}$")
    device_ids: tuple[Annotated[int, Field(ge=0, le=63)], ...] = Field(default=tuple(range(8)), min_length=1)
    ssh: Ssh = Ssh()

    @property
    def where(self) -> Where:
        return Where(self.name)

    @property
    def devices(self) -> tuple[Where, ...]:
        """The node's devices as places, in order."""
        return tuple(Where.of_device(self.name, i) for i in self.device_ids)


GUIDE_MOUNTS = (
    "/usr/local/Ascend/driver:/usr/local/Ascend/driver",
    "/usr/local/Ascend/add-ons/:/usr/local/Ascend/add-ons",
    "/usr/local/sbin/:/usr/local/sbin",
    "/usr/local/sbin/npu-smi:/usr/local/sbin/npu-smi",
    "/usr/log/npu/conf/slog/slog.conf:/var/log/npu/conf/slog/slog.conf",
    "/var/log/npu/slog/:/var/log/npu/slog/",
    "/var/log/npu/profiling/:/var/log/npu/profiling/",
    "/var/log/npu/dump/:/var/log/npu/dump/",
    "/var/log/npu/:/usr/slog",
    "/lib/modules:/lib/modules",
)
GUIDE_IMAGE = "crpi-4crprmm5baj1v8iv.cn-hangzhou.personal.cr.aliyuncs.com/lmdeploy_dlinfer/ascend:a2-latest"


class Container(_Model):
    """Section 1 of the guide: the ``docker run`` of every node. ``mounts`` are added to the guide's own."""

    engine: Engine = Engine.DOCKER
    image: str = GUIDE_IMAGE
    name: Name = "hakuna"
    guide_mounts: tuple[str, ...] = GUIDE_MOUNTS
    mounts: tuple[str, ...] = ()
    control_devices: tuple[str, ...] = ("/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc")
    shm_size: str = Field(default="500g", pattern=r"^\d+[bkmgBKMG]?$")
    privileged: bool = True
    entrypoint: str = "/bin/bash"
    extra_args: tuple[str, ...] = ()


class Ray(_Model):
    """Section 2: the Ray cluster. ``npu_resource`` passes ``--resources={"NPU": n}`` where Ray cannot detect NPUs."""

    port: Port = 6379
    object_store_memory: Annotated[int, Field(gt=0)] | None = None  # bytes
    npu_resource: bool = False
    resources: dict[str, float] = {}
    join_timeout: Seconds = 60.0


class RankTable(_Model):
    """Section 3. ``generate: false`` uses the file that is already on the nodes and only judges it."""

    path: str = Field(default="/tmp/hakuna/rank_table.json", pattern=r"^/.*\.json$")  # noqa: S108  # on the nodes, in a folder of our own
    mode: RankTableMode = RankTableMode.AUTO
    version: str | None = Field(default=None, pattern=r"^(1\.0|1\.2)$")  # None: what the chip needs
    device_port: Port | None = 16667  # the guide's; None leaves the field out
    generate: bool = True


class Expect(_Model):
    """An answer that the model is known to give, for ``generation`` to compare with.

    ``contains`` and ``equals`` are of the bare prompt, ``chat`` is of the prompt as a user's turn (which is what
    ``pipeline`` makes of it, too); all of them are of greedy decoding.
    """

    prompt: str = "Hakuna Matata"
    contains: str = ""
    equals: str = ""
    chat: str = ""


class Server(_Model):
    """Section 4: the api_server. ``tp`` defaults to all devices of all nodes."""

    model_path: str = Field(default="/models/model", pattern=r"^/")
    served_name: str = ""  # --model-name; empty: LMDeploy uses the path
    lmdeploy_version: str = Field(default="detect", pattern=r"^(detect|\d+\.\d+.*)$")  # or e.g. "0.14.0"
    tp: Annotated[int, Field(ge=1)] | None = None
    port: Port = 23333
    backend: str = Field(default="pytorch", pattern="^(pytorch|turbomind)$")
    device: str = Field(default="ascend", pattern="^(ascend|cuda|maca|camb)$")
    eager_mode: bool = True
    api_key_env: str = ""  # name of the controller's environment variable that holds the API key
    api_key_file: str = ""  # or a file of the controller that holds it
    extra_args: tuple[str, ...] = ()
    env: dict[EnvName, str] = {}
    log: str = Field(default="/tmp/hakuna/api_server.log", pattern=r"^/")  # noqa: S108  # on the nodes, in a folder of our own
    http: HttpRoute = HttpRoute.DIRECT
    pipeline: bool = True  # section 4.2, before the server starts (it needs the same NPUs)
    expect: Expect = Expect()


class Thresholds(_Model):
    """Limits that a site may set. Times in seconds unless the name says otherwise."""

    ping_loss_percent: Annotated[float, Field(ge=0, lt=100)] = 0.0
    ping_latency_ms: Annotated[float, Field(gt=0)] = 5.0
    clock_skew: Seconds = 2.0
    disk_free_gib: Annotated[float, Field(ge=0)] = 20.0
    shm_gib: Annotated[float, Field(ge=0)] = 64.0
    nofile: Annotated[int, Field(ge=0)] = 65535
    somaxconn: Annotated[int, Field(ge=0)] = 1024
    time_to_ready: Seconds = 1800.0
    teardown: Seconds = 120.0  # the time in reserve for taking down, whatever hangs
    lease: Annotated[float, Field(ge=3)] = 600.0  # after so long without a sign of life a run counts as dead
    time_to_first_token: Seconds = 30.0
    tokens_per_second: Annotated[float, Field(ge=0)] = 0.0
    allreduce_gbps: Annotated[float, Field(ge=0)] = 0.0
    certificate_days: Annotated[int, Field(ge=0)] = 30
    reference_gib: Annotated[float, Field(ge=0)] = 2.0  # so large a model is asked on the head's CPU as well; 0: never


class DriftVerdict(enum.Enum):
    """What a drift against the last good runs counts as."""

    OFF = "off"
    WARN = "warn"
    FAIL = "fail"


class Drift(_Model):
    """When something is not as it was in the last good runs of this cluster that ``history.sqlite`` remembers."""

    changed: DriftVerdict = DriftVerdict.WARN  # a version, digest or address is another one
    slower: DriftVerdict = DriftVerdict.WARN  # a figure is worse than usual
    deviations: Annotated[float, Field(gt=0)] = 5.0  # worse by more than so many median absolute deviations ...
    percent: Annotated[float, Field(gt=0)] = 20.0  # ... and by more than this part of the median
    percent_of: dict[str, Annotated[float, Field(gt=0)]] = {}  # another part for one figure: allreduce_gbps: 10
    ignore: tuple[str, ...] = ()  # names of facts and figures that nobody wants to hear of: kernel
    runs: Annotated[int, Field(ge=2, le=14)] = 4  # figures are judged only against so many good runs, or more
    keep_runs: Annotated[int, Field(ge=1)] = 500  # so many runs of this cluster are remembered


class Simulation(_Model):
    """Only for ``transport: simulated``: what the simulated cluster is like."""

    lmdeploy_version: str = "0.14.0"
    ray_version: str = "2.46.0"
    driver: str = ""  # another driver than usual, on every node
    slower_mesh: Annotated[float, Field(ge=1)] = 1.0  # every round trip takes so many times as long
    past: dict[str, str | tuple[float, ...]] = {}  # what the last good runs found, where no history says so
    ipv6: bool = False
    faults: tuple[str, ...] = ()  # NAME[@node[/device]]
    load_seconds: Annotated[float, Field(ge=0)] = 0.3


class TransportKind(enum.Enum):
    SSH = "ssh"
    SIMULATED = "simulated"


class Inventory(_Model):
    """One deployment. ``nodes[0]`` is Ray's head unless ``head`` names another one."""

    cluster: Name = "cluster"
    transport: TransportKind = TransportKind.SSH
    chip: Chip = Chip.ATLAS_800T_A2
    layout: Layout = Layout.SWITCHED
    nodes: tuple[Node, ...] = Field(min_length=1)
    head: str = ""
    container: Container = Container()
    ray: Ray = Ray()
    env: dict[EnvName, str] = {}  # exported on every node before `ray start`, besides the guide's four
    rank_table: RankTable = RankTable()
    server: Server = Server()
    thresholds: Thresholds = Thresholds()
    drift: Drift = Drift()
    simulation: Simulation = Simulation()
    api_key: SecretStr = Field(
        default=SecretStr(""), exclude=True, repr=False, validate_default=False
    )  # filled by the loader, never read from YAML

    @property
    def head_node(self) -> Node:
        return self.node(self.head) if self.head else self.nodes[0]

    @property
    def workers(self) -> tuple[Node, ...]:
        return tuple(n for n in self.nodes if n.name != self.head_node.name)

    @property
    def ordered_nodes(self) -> tuple[Node, ...]:
        """Head first, then the others in the inventory's order: the order of the rank table."""
        return (self.head_node, *self.workers)

    @property
    def devices(self) -> tuple[Where, ...]:
        return tuple(d for n in self.nodes for d in n.devices)

    @property
    def world_size(self) -> int:
        return sum(len(n.device_ids) for n in self.nodes)

    @property
    def tp(self) -> int:
        return self.server.tp or self.world_size

    @property
    def model_name(self) -> str:
        """The id that /v1/models must list."""
        return self.server.served_name or self.server.model_path

    @property
    def ipv6_host(self) -> bool:
        return ipaddress.ip_address(self.head_node.node_ip).version == 6  # noqa: PLR2004  # the Internet Protocol's

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            KeyError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise KeyError(name)
