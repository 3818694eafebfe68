# SPDX-License-Identifier: Apache-2.0
"""``torch.npu``: the calls of LMDeploy and transformers, answered for devices that are only counted.

Read from the environment of the process: TWIN_DEVICES (8), TWIN_MEMORY_MIB (of a device; LMDeploy really touches four
fifths of it as its cache), TWIN_CHIP, and CANN's own ASCEND_RT_VISIBLE_DEVICES.
"""

from __future__ import annotations

import os
import threading
import time
from types import SimpleNamespace, TracebackType
from typing import Any

import torch

_current = {"device": 0}  # of the process, as each has one NPU
_thread = threading.local()


class Stream:
    """A stream in which nothing ever waits."""

    def __init__(self, device: object = None, priority: int = 0, **_options: object) -> None:
        del device, priority
        self.device = torch.device("cpu")
        self.npu_stream = self.cuda_stream = self.stream_id = id(self)

    def synchronize(self) -> None:
        pass

    def query(self) -> bool:
        return True

    def wait_event(self, event: Event) -> None:
        pass

    def wait_stream(self, other: Stream) -> None:
        pass

    def record_event(self, event: Event | None = None) -> Event:
        event = event or Event()
        event.record(self)
        return event


class Event:
    """An event that has happened as soon as it is recorded."""

    def __init__(self, enable_timing: bool = False, **_options: object) -> None:
        del enable_timing
        self.time = 0.0

    def record(self, stream: Stream | None = None) -> None:
        del stream
        self.time = time.monotonic()

    def wait(self, stream: Stream | None = None) -> None:
        pass

    def query(self) -> bool:
        return True

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Event) -> float:
        """Milliseconds between two events."""
        return (end.time - self.time) * 1e3


_default = Stream()


class stream:  # noqa: N801  # torch's own name
    """``with torch.npu.stream(s):``."""

    def __init__(self, chosen: Stream | None) -> None:
        self.chosen = chosen
        self.before = _default

    def __enter__(self) -> None:
        self.before = current_stream()
        if self.chosen is not None:
            set_stream(self.chosen)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        set_stream(self.before)


class device:  # noqa: N801  # torch's own name
    """``with torch.npu.device(i):``."""

    def __init__(self, chosen: object) -> None:
        self.chosen = _index(chosen)
        self.before = 0

    def __enter__(self) -> None:
        self.before = current_device()
        _current["device"] = self.chosen

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _current["device"] = self.before


def current_stream(device: object = None) -> Stream:
    del device
    found: Stream = getattr(_thread, "stream", _default)
    return found


def default_stream(device: object = None) -> Stream:
    del device
    return _default


def set_stream(chosen: Stream) -> None:
    _thread.stream = chosen


def _index(chosen: object) -> int:
    """The number in 3, "npu:3" or a torch.device; the current one where there is none."""
    if isinstance(chosen, int):
        return chosen
    number = str(chosen).partition(":")[2]
    return int(number) if number else current_device()


def set_device(chosen: object) -> None:
    """Choose the process's device.

    Raises:
        RuntimeError: there is no such device among the visible ones.
    """
    number = _index(chosen)
    if not 0 <= number < device_count():
        raise RuntimeError(
            f"set_device: The argument is invalid. Invalid device ID {number}. "
            f"Check the input device ID, which must be less than {device_count()}. (error code 107001, CPU twin)"
        )
    _current["device"] = number


def device_count() -> int:
    visible = os.environ.get("ASCEND_RT_VISIBLE_DEVICES")
    if visible:
        return len([word for word in visible.split(",") if word.strip()])
    return int(os.environ.get("TWIN_DEVICES", "8"))


def is_available() -> bool:
    return device_count() > 0


def is_initialized() -> bool:
    return True


def init() -> None:
    pass


def current_device() -> int:
    return _current["device"]


def get_device_name(device: object = None) -> str:
    del device
    return os.environ.get("TWIN_CHIP", "Ascend910B3")


def get_soc_version() -> int:
    """CANN's number of the 910B3."""
    return 223


def get_device_capability(device: object = None) -> tuple[int, int]:
    del device
    return 0, 0


def get_device_properties(device: object = None) -> SimpleNamespace:
    total = mem_get_info(device)[1]
    name = get_device_name(device)
    return SimpleNamespace(name=name, major=None, minor=None, total_memory=total, multi_processor_count=20, uuid="twin")


def mem_get_info(device: object = None) -> tuple[int, int]:
    """Free and total bytes of a device."""
    del device
    size = int(float(os.environ.get("TWIN_MEMORY_MIB", "1024")) * 2**20)
    return size, size


def memory_allocated(device: object = None) -> int:
    del device
    return 0


def memory_reserved(device: object = None) -> int:
    del device
    return 0


def max_memory_allocated(device: object = None) -> int:
    del device
    return 0


def max_memory_reserved(device: object = None) -> int:
    del device
    return 0


def reset_peak_memory_stats(device: object = None) -> None:
    del device


def empty_cache() -> None:
    pass


def ipc_collect() -> None:
    pass


def synchronize(device: object = None) -> None:
    del device


def manual_seed(seed: int) -> None:
    del seed


def manual_seed_all(seed: int) -> None:
    del seed


def graph_pool_handle() -> tuple[int, int]:
    return 0, 0


def is_current_stream_capturing() -> bool:
    return False


def public() -> dict[str, Any]:
    """What ``torch.cuda`` gets in place of its own."""
    mine = {name: thing for name, thing in globals().items() if not name.startswith("_")}
    for name in (
        "annotations",
        "os",
        "threading",
        "time",
        "torch",
        "SimpleNamespace",
        "TracebackType",
        "Any",
        "public",
    ):
        mine.pop(name, None)
    return mine
