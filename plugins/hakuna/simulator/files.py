# SPDX-License-Identifier: Apache-2.0
"""The files that a simulated machine comes with, by their paths."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from hakuna.simulator.containers import host_path
from hakuna.simulator.processes import of_node
from hakuna.simulator.state import FIRST_PID
from hakuna.simulator.table_faults import site_table

if TYPE_CHECKING:
    from hakuna.simulator.node import SimNode

DRIVER_INFO = "/usr/local/Ascend/driver/version.info"
FIRMWARE_INFO = "/usr/local/Ascend/firmware/version.info"
CANN_INFO = "/usr/local/Ascend/ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info"
HCCN_CONF = "/etc/hccn.conf"
#: The guide's own example (section 3), which LMDeploy refuses: its server_id is no node IP.
GUIDE_TABLE = (
    '{"version": "1.0", "server_count": "1", "status": "completed", "server_list": [{"server_id": "node_0", '
    '"device": [{"device_id": "0", "device_ip": "192.168.1.8", "device_port": "16667", "rank_id": "0"}]}]}\n'
)
_FROM_HOST = (DRIVER_INFO, FIRMWARE_INFO, HCCN_CONF)


def simulated_file(node: SimNode, path: str, container: str | None) -> bytes | None:
    """The content of a file that nobody wrote; None when the machine has none of that name."""
    model_config = f"{node.inventory.server.model_path.rstrip('/')}/config.json"
    make = _model_config if path == model_config else _FILES.get(path)
    if path == node.inventory.rank_table.path and node.spec.has("old-table-there", node.name) and container is None:
        return GUIDE_TABLE.encode()
    if path == node.inventory.rank_table.path and not node.inventory.rank_table.generate:
        return site_table(node.spec, node.name)
    if make is None or (path in (*_FROM_HOST, model_config) and host_path(node, path, container) is None):
        return None  # no such file; or one of the host's, which a container has only where it is mounted
    text = make(node, path, container is not None)
    return None if text is None else text.encode()


_SYSCTLS = {
    "/proc/sys/net/core/somaxconn": "4096",
    "/proc/sys/net/ipv4/tcp_max_syn_backlog": "4096",
    "/proc/sys/net/ipv4/ip_local_reserved_ports": "60000-60031",
}


def _sysctl(node: SimNode, path: str, inside: bool) -> str:
    del inside
    if path.endswith("somaxconn") and node.spec.has("short-backlog", node.name):
        return "128\n"
    if path.endswith("ip_local_reserved_ports") and node.spec.has("ports-not-reserved", node.name):
        return "\n"
    return _SYSCTLS[path] + "\n"


def nofile(node: SimNode, *, inside: bool) -> int:
    """The soft limit of open files: of a login, or of a container's processes."""
    return 1048576 if inside else 1024 if node.spec.has("low-nofile", node.name) else 655350


def limits(node: SimNode, *, inside: bool) -> str:
    """``/proc/self/limits`` as Linux prints it."""
    soft = nofile(node, inside=inside)
    rows = (
        ("Limit", "Soft Limit", "Hard Limit", "Units"),
        ("Max cpu time", "unlimited", "unlimited", "seconds"),
        ("Max file size", "unlimited", "unlimited", "bytes"),
        ("Max data size", "unlimited", "unlimited", "bytes"),
        ("Max stack size", "8388608", "unlimited", "bytes"),
        ("Max core file size", "0", "unlimited", "bytes"),
        ("Max resident set", "unlimited", "unlimited", "bytes"),
        ("Max processes", "6190286", "6190286", "processes"),
        ("Max open files", str(soft), str(max(soft, 1048576)), "files"),
        ("Max locked memory", "67108864", "67108864", "bytes"),
        ("Max address space", "unlimited", "unlimited", "bytes"),
        ("Max file locks", "unlimited", "unlimited", "locks"),
        ("Max pending signals", "6190286", "6190286", "signals"),
        ("Max msgqueue size", "819200", "819200", "bytes"),
        ("Max nice priority", "0", "0", ""),
        ("Max realtime priority", "0", "0", ""),
        ("Max realtime timeout", "unlimited", "unlimited", "us"),
    )
    return "".join(f"{a:<25} {b:<20} {c:<20} {d:<10}\n" for a, b, c, d in rows)


def _driver(node: SimNode, path: str, inside: bool) -> str:
    del path
    version = node.spec.driver(node.name, inside=inside)
    return (
        f"Version={version}\nascendhal_version=7.35.23\naicpu_version=1.0\ntdt_version=1.0\nlog_version=1.0\n"
        "prof_version=2.0\ndvppkernels_version=1.1\ntsfw_version=1.0\nInnerversion=V100R001C22SPC001B227\n"
        "compatible_version=[V100R001C18],[V100R001C19],[V100R001C20],[V100R001C21],[V100R001C22]\n"
        f"compatible_version_fw=[7.0.0,7.8.99]\npackage_version={version}\n"
    )


def _firmware(node: SimNode, path: str, inside: bool) -> str:
    del path, inside
    version, package = node.spec.firmware(node.name), node.spec.driver(node.name)
    return (
        f"Version={version}\nfirmware_version=1.0\npackage_version={package}\n"
        "compatible_version_drv=[24.1.rc1,24.1.rc1.],[25.2.0,25.2.0.]\n"
    )


def _cann(node: SimNode, path: str, inside: bool) -> str:
    del path
    version = node.spec.cann(node.name, inside=inside)
    return (
        f"package_name=Ascend-cann-toolkit\nversion={version}\ninnerversion=V100R001C25SPC002B220\n"
        "compatible_version=[V100R001C15],[V100R001C18],[V100R001C19],[V100R001C20],[V100R001C21],[V100R001C23]\n"
        f"arch=aarch64\nos=linux\npath=/usr/local/Ascend/ascend-toolkit/{version}/aarch64-linux\n"
    )


def hccn_conf(node: SimNode) -> str:
    """``/etc/hccn.conf``: per device address, netmask and gateway, IPv6 with keys of its own."""
    rows: list[str] = []
    for i in node.model.device_ids:
        device = node.spec.device(node.name, i)
        if device.conf is None:
            continue
        if ":" in device.conf:
            rows += [f"IPv6address_{i}={device.conf}", f"IPv6netmask_{i}={device.mask}"]
            continue
        rows += [f"address_{i}={device.conf}", f"netmask_{i}={device.mask}"]
        if device.gateway is not None:
            rows += [f"netdetect_{i}={device.gateway}", f"gateway_{i}={device.gateway}"]
        rows.append(f"send_arp_status_{i}=1")
    return "".join(f"{row}\n" for row in rows)


def _model_config(node: SimNode, path: str, inside: bool) -> str | None:
    del path
    if node.spec.model_files(node.name, inside=inside) is None:
        return None
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "hidden_act": "silu",
        "hidden_size": 4096 if node.spec.has("config-differs", node.name) else 3584,
        "initializer_range": 0.02,
        "intermediate_size": 18944,
        "max_position_embeddings": 32768,
        "max_window_layers": 28,
        "model_type": "qwen2",
        "num_attention_heads": 28,
        "num_hidden_layers": 28,
        "num_key_value_heads": 4,
        "rms_norm_eps": 1e-06,
        "rope_theta": 1000000.0,
        "sliding_window": 131072,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "transformers_version": "4.43.1",
        "use_cache": True,
        "use_sliding_window": False,
        "vocab_size": 152064,
    }
    return json.dumps(config, indent=2) + "\n"


def _boot_id(node: SimNode, path: str, inside: bool) -> str:
    del path, inside
    return node.spec.boot_id(f"{node.name}.again" if _has_restarted(node) else node.name) + "\n"


def _has_restarted(node: SimNode) -> bool:
    """The reboot faults happen while Ray forms, while the server loads, or after the server's end."""
    data = node.state.read()
    if data["next_pid"] == FIRST_PID:
        return False  # nothing was started on this cluster yet
    lines = [" ".join(p["argv"]) for name in data["processes"] for p in of_node(data, name)]
    serving = any("api_server" in line for line in lines)
    ray = any("raylet" in line for line in lines)
    has = node.spec.has
    return (
        (has("reboot-while-ray-forms", node.name) and ray)
        or (has("reboot-while-loading", node.name) and serving)
        or (has("reboot", node.name) and not ray)
    )


#: Path -> what makes its text: (node, path, inside a container).
_FILES: dict[str, Callable[[SimNode, str, bool], str | None]] = {
    "/proc/sys/kernel/random/boot_id": _boot_id,
    "/proc/self/limits": lambda node, _path, inside: limits(node, inside=inside),
    **dict.fromkeys(_SYSCTLS, _sysctl),
    DRIVER_INFO: _driver,
    FIRMWARE_INFO: _firmware,
    CANN_INFO: _cann,
    HCCN_CONF: lambda node, _path, _inside: hccn_conf(node),
}
