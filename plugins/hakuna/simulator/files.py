# SPDX-License-Identifier: Apache-2.0
"""The files that a simulated machine comes with, by their paths."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hakuna.simulator.node import SimNode

DRIVER_INFO = "/usr/local/Ascend/driver/version.info"
FIRMWARE_INFO = "/usr/local/Ascend/firmware/version.info"
CANN_INFO = "/usr/local/Ascend/ascend-toolkit/latest/aarch64-linux/ascend_toolkit_install.info"
HCCN_CONF = "/etc/hccn.conf"


def simulated_file(node: SimNode, path: str, container: str | None) -> bytes | None:
    """The content of a file that nobody wrote; None when the machine has none of that name."""
    spec, name = node.spec, node.name
    inside = container is not None
    text: str | None = None
    if path == "/proc/sys/kernel/random/boot_id":
        text = spec.boot_id(name) + "\n"
    elif path in _SYSCTLS:
        text = _sysctl(node, path)
    elif path == "/proc/self/limits":
        text = limits(node, inside=inside)
    elif path == DRIVER_INFO:
        text = _driver(spec.driver(name, inside=inside))
    elif path == FIRMWARE_INFO:
        # The guide mounts the driver's folder, not the firmware's.
        text = None if inside else _firmware(spec.firmware(name), spec.driver(name))
    elif path == CANN_INFO:
        text = _cann(spec.cann(name, inside=inside))
    elif path == HCCN_CONF:
        text = None if inside else hccn_conf(node)
    elif path == f"{node.inventory.server.model_path.rstrip('/')}/config.json":
        text = _model_config() if spec.model_files(name, inside=inside) is not None else None
    return None if text is None else text.encode()


_SYSCTLS = {
    "/proc/sys/net/core/somaxconn": "4096",
    "/proc/sys/net/ipv4/tcp_max_syn_backlog": "4096",
    "/proc/sys/net/ipv4/ip_local_reserved_ports": "60000-60031",
}


def _sysctl(node: SimNode, path: str) -> str:
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


def _driver(version: str) -> str:
    return (
        f"Version={version}\nascendhal_version=7.35.23\naicpu_version=1.0\ntdt_version=1.0\nlog_version=1.0\n"
        "prof_version=2.0\ndvppkernels_version=1.1\ntsfw_version=1.0\nInnerversion=V100R001C22SPC001B227\n"
        "compatible_version=[V100R001C18],[V100R001C19],[V100R001C20],[V100R001C21],[V100R001C22]\n"
        f"compatible_version_fw=[7.0.0,7.8.99]\npackage_version={version}\n"
    )


def _firmware(version: str, package: str) -> str:
    return (
        f"Version={version}\nfirmware_version=1.0\npackage_version={package}\n"
        "compatible_version_drv=[24.1.rc1,24.1.rc1.],[25.2.0,25.2.0.]\n"
    )


def _cann(version: str) -> str:
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


def _model_config() -> str:
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "attention_dropout": 0.0,
        "bos_token_id": 151643,
        "eos_token_id": 151645,
        "hidden_act": "silu",
        "hidden_size": 3584,
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
