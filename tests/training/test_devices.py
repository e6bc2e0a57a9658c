"""What a device cannot do is said in one line; the answers of CUDA are stand-ins, since tests run without a GPU."""

import pytest
import torch

from unravel.config import Execution
from unravel.files import InputError
from unravel.training import devices


def test_cuda_that_is_asked_for_and_absent_is_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"execution.device is cuda, but torch sees no GPU here; use auto or cpu"):
        devices.set_up(Execution(device="cuda"))


@pytest.mark.parametrize(("there", "kind"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_the_gpu_where_there_is_one(monkeypatch, there, kind):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert devices.set_up(Execution()).type == kind
    assert devices.set_up(Execution(device="cpu")).type == "cpu"


def test_a_gpu_without_bf16_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Old Card")
    with pytest.raises(InputError, match=r"training.precision is bf16, which Old Card does not have; use fp32"):
        devices.require_precision(torch.device("cuda"), "bf16")
    devices.require_precision(torch.device("cuda"), "fp32")
    devices.require_precision(torch.device("cpu"), "bf16")


def test_a_full_gpu_names_the_batch_size_and_what_to_try(monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (2**29, 8 * 2**30))
    with (
        pytest.raises(
            InputError, match=r"memory is full \(0.5 of 8.0 GB free\) with training.batch_size 128"
        ) as caught,
        devices.memory_limit(128),
    ):
        raise torch.OutOfMemoryError("CUDA out of memory")
    assert str(caught.value).endswith("or start over with 64")
