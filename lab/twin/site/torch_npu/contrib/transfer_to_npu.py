# SPDX-License-Identifier: Apache-2.0
"""What torch_npu's own module of this name does, one step further: code written for "cuda" runs, on the CPU.

Every device argument "cuda" or "npu" becomes "cpu", ``torch.cuda`` becomes ``torch.npu``, the backend "nccl" becomes
"hccl". Importing it does it, once in a process.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
import torch._dynamo  # builds a table of torch's functions: before they are wrapped here
import torch.distributed as dist
from torch.distributed import distributed_c10d
from torch.utils import _device

from torch_npu import npu

_Device = torch.device
_OTHERS = ("cuda", "npu")
_TENSOR_METHODS = ("to", "new_empty", "new_zeros", "new_ones", "new_full", "new_tensor", "new_empty_strided")


def on_cpu(place: Any) -> Any:
    """A device argument as the twin understands it; everything else as it is."""
    if isinstance(place, str) and place.partition(":")[0] in _OTHERS:
        return "cpu"
    if isinstance(place, _Device) and place.type in _OTHERS:
        return _Device("cpu")
    return place


def _numbered(place: Any) -> Any:
    """As :func:`on_cpu`, where a bare number is a device too."""
    return "cpu" if isinstance(place, int) and not isinstance(place, bool) else on_cpu(place)


class _AnyDevice(type):
    """Lets ``isinstance(x, torch.device)`` go on working for the real ones."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, _Device)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, _Device)


class device(metaclass=_AnyDevice):  # noqa: N801  # torch's own name
    """``torch.device``, whose "cuda" and "npu" are the CPU. Makes real devices, never one of its own."""

    def __new__(cls, *arguments: Any, **options: Any) -> Any:
        kind = options.get("type", arguments[0] if arguments else "")
        if isinstance(kind, int) or on_cpu(kind) is not kind:
            return _Device("cpu")
        return _Device(*arguments, **options)


device.__module__, device.__qualname__ = "torch", "device"  # so that it pickles by torch's name


def _mapped(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with its device arguments mapped, and without pinned memory, which needs a device."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if options.get("device") is not None:
            options["device"] = _numbered(options["device"])
        if options.get("pin_memory"):
            options["pin_memory"] = False
        return function(*(on_cpu(a) for a in arguments), **options)

    return call


def _hccl(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function with the backend "nccl" taken for "hccl"."""

    @functools.wraps(function)
    def call(*arguments: Any, **options: Any) -> Any:
        if options.get("backend") == "nccl":
            options["backend"] = "hccl"
        return function(*("hccl" if a == "nccl" else a for a in arguments[:1]), *arguments[1:], **options)

    return call


def _stays(self: Any, *_arguments: Any, **_options: Any) -> Any:
    """``x.cuda()``: it is where it should be."""
    return self


def _tensors() -> None:
    makers = _device._device_constructors()  # noqa: SLF001  # cached there: `with torch.device()` needs the originals
    names = {name for f in makers if getattr(torch, (name := getattr(f, "__name__", "")), None) is f}
    names |= {name for name in dir(torch) if name.endswith("_like") and callable(getattr(torch, name))}
    for name in names:
        setattr(torch, name, _mapped(getattr(torch, name)))
    for name in _TENSOR_METHODS:
        setattr(torch.Tensor, name, _mapped(getattr(torch.Tensor, name)))
    for owner in (torch.Tensor, torch.nn.Module):
        for name in ("cuda", "npu"):
            setattr(owner, name, _stays)
    torch.Tensor.pin_memory = _stays  # type: ignore[method-assign]
    torch.Tensor.is_pinned = lambda *_a, **_o: False  # type: ignore[method-assign]
    torch.Tensor.record_stream = lambda *_a, **_o: None  # type: ignore[method-assign]


def _modules() -> None:
    move, load, generator = torch.nn.Module.to, torch.load, torch.Generator

    def to(self: torch.nn.Module, *arguments: Any, **options: Any) -> Any:
        if options.get("device") is not None:
            options["device"] = _numbered(options["device"])
        return move(self, *(_numbered(a) for a in arguments[:1]), *arguments[1:], **options)

    def load_to_cpu(*arguments: Any, **options: Any) -> Any:
        place = options.get("map_location")
        if place is not None and not callable(place):
            options["map_location"] = _numbered(place)
        return load(*arguments, **options)

    def make(cls: type, device: Any = "cpu") -> Any:
        del cls
        return generator.__new__(generator, device=_numbered(device))  # type: ignore[call-arg]

    torch.nn.Module.to = to  # type: ignore[method-assign]
    torch.load = load_to_cpu
    torch.Generator = type("Generator", (generator,), {"__new__": make})  # type: ignore[misc, assignment]


def _groups() -> None:
    for name in ("init_process_group", "new_group"):
        wrapped = _hccl(getattr(distributed_c10d, name))
        setattr(distributed_c10d, name, wrapped)
        setattr(dist, name, wrapped)


def install() -> None:
    """Do it, unless it is done already."""
    if torch.device is device:
        return
    _tensors()
    _modules()
    _groups()
    torch.device = device  # type: ignore[misc]
    for name, thing in npu.public().items():
        setattr(torch.cuda, name, thing)


install()
