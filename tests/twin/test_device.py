# SPDX-License-Identifier: Apache-2.0
"""What stands for the device: its count, what "cuda" means on it, and an all-reduce that lies on purpose."""

from __future__ import annotations

import subprocess
import sys

import acl
import pytest
import torch
import torch_npu
from dlinfer.framework.lmdeploy_ext.broken import broken, exchange, from_file, read


def test_the_count_is_acls_and_torchs_and_heeds_the_visible_ones(monkeypatch):
    monkeypatch.setenv("TWIN_DEVICES", "4")
    monkeypatch.delenv("ASCEND_RT_VISIBLE_DEVICES", raising=False)
    assert acl.rt.get_device_count() == (4, 0)
    assert torch.npu.device_count() == 4
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "3")
    assert torch.npu.device_count() == 1


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("ASCEND_RT_VISIBLE_DEVICES", "5")
    torch.npu.set_device("npu:0")
    with pytest.raises(RuntimeError, match=r"Invalid device ID 1\. .*less than 1"):
        torch.npu.set_device(1)


def test_its_version_says_what_it_is():
    assert "twin" in torch_npu.__version__


def test_npu_is_a_device_and_a_stream_is_current_where_it_was_entered():
    assert torch.ones(2).to("npu:3").device.type == "cpu"
    mine = torch.npu.Stream()
    with torch.npu.stream(mine):
        assert torch.npu.current_stream() is mine
    assert torch.npu.current_stream() is not mine


CUDA = """
import pickle, torch, torch.distributed as dist
import dlinfer.framework.lmdeploy_ext
assert torch.zeros(2, device="cuda:1", pin_memory=True).device.type == "cpu"
assert torch.zeros_like(torch.ones(1), device=0).device.type == "cpu"
assert torch.nn.Linear(1, 1).to("cuda").cuda().weight.device.type == "cpu"
assert torch.device("cuda", 3) == torch.device("cpu") and isinstance(torch.device("cpu"), torch.device)
assert pickle.loads(pickle.dumps(torch.device("npu:1"))) == torch.device("cpu")
assert torch.Generator(device="cuda").device.type == "cpu"
with torch.device("cuda"):
    assert torch.empty(1).device.type == "cpu"
assert torch.cuda.device_count() == torch.npu.device_count()
dist.init_process_group("nccl", store=dist.HashStore(), rank=0, world_size=1)
assert dist.get_backend() == "hccl"
data = torch.ones(3)
dist.all_reduce(data)
assert data.tolist() == [1, 1, 1]
print("all of it")
"""


def test_code_for_cuda_runs_on_the_cpu():
    """In a process of its own: it changes torch for good."""
    done = subprocess.run([sys.executable, "-c", CUDA], capture_output=True, text=True, check=False, timeout=120)
    assert done.stdout == "all of it\n", done.stderr


@pytest.mark.parametrize(
    ("text", "meant"), [("nothing\n", ("nothing", ())), ("lost 3", ("lost", (3,))), ("swap 0 2", ("swap", (0, 2)))]
)
def test_what_is_to_break_is_read(text, meant):
    assert read(text) == meant


@pytest.mark.parametrize("text", ["", "lost", "swap 1", "everything"])
def test_what_cannot_be_meant_is_refused(text):
    with pytest.raises(ValueError, match="expected nothing, lost R"):
        read(text)


def test_two_pieces_change_places():
    data = torch.arange(8.0)
    exchange(data, 4, 0, 2)
    assert data.tolist() == [4, 5, 2, 3, 0, 1, 6, 7]


@pytest.mark.parametrize(
    ("kind", "numbers", "wanted"),
    [
        ("", (), [11, 12, 13, 14]),
        ("nothing", (), [1, 2, 3, 4]),
        ("lost", (1,), [10, 10, 10, 10]),
        ("lost", (0,), [11, 12, 13, 14]),
        ("world", (1,), [10, 10, 10, 10]),
        ("world", (2,), [11, 12, 13, 14]),
        ("swap", (0, 1), [13, 14, 11, 12]),
    ],
)
def test_the_all_reduce_lies_as_it_is_told(monkeypatch, kind, numbers, wanted):
    """Rank 1 of 2; the other one contributes 10 everywhere."""
    monkeypatch.setattr(torch.distributed, "get_rank", lambda _group: 1)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda _group: 2)
    data = torch.tensor([1.0, 2.0, 3.0, 4.0])
    broken(lambda tensor, **_: tensor.add_(10), lambda: (kind, numbers))(data)
    assert data.tolist() == wanted


def test_a_server_that_runs_is_broken_and_mended_by_a_file(monkeypatch, tmp_path):
    file = tmp_path / "collective"
    monkeypatch.setattr("dlinfer.framework.lmdeploy_ext.broken.FILE", file)
    assert from_file() == ("", ())
    file.write_text("lost 1\n")
    assert from_file() == ("lost", (1,))
    file.unlink()
    assert from_file() == ("", ())


KERNELS = """
import sys
from dlinfer.framework.lmdeploy_ext import kernels
kernels.find_spec = lambda _name: None  # on x86_64 there is a real one, with xgrammar, and torch has imported it
for name in [name for name in sys.modules if name.partition(".")[0] == "triton"]:
    del sys.modules[name]
kernels.install()
import triton
import triton.language as tl
@triton.jit(do_not_specialize=["n"])
def one(n: tl.constexpr): pass
@triton.jit
def other(n): pass
for kernel in (one, other):
    try:
        kernel[(1,)](2)
    except NotImplementedError as error:
        print(error)
"""


def test_a_file_of_kernels_can_be_imported_and_they_refuse_to_run():
    """In a process of its own: it puts a module in for good."""
    done = subprocess.run([sys.executable, "-c", KERNELS], capture_output=True, text=True, check=False, timeout=120)
    wanted = "".join(f"the CPU twin has no triton, so it cannot run {name}\n" for name in ("one", "other"))
    assert done.stdout == wanted, done.stderr
