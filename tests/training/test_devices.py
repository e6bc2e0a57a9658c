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


@pytest.mark.parametrize(
    ("variables", "driver", "given"),
    [
        ({"CUDA_VISIBLE_DEVICES": "0"}, False, "CUDA_VISIBLE_DEVICES=0"),
        ({"SLURM_JOB_GPUS": "1,2"}, False, "SLURM_JOB_GPUS=1,2"),
        ({}, True, "nvidia0"),
        ({}, False, None),
        ({"CUDA_VISIBLE_DEVICES": ""}, True, None),  # a job that is given none, on a machine that has one
        ({"CUDA_VISIBLE_DEVICES": "NoDevFiles"}, True, None),
    ],
)
def test_a_job_with_a_gpu_does_not_run_on_the_cpu_because_its_torch_has_no_cuda(
    monkeypatch, tmp_path, variables, driver, given
):
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(devices, "DRIVER", tmp_path / "nvidia0")
    if driver:
        (tmp_path / "nvidia0").touch()
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: False)
    if given is None:
        assert devices.set_up(Execution()).type == "cpu"
    else:
        with pytest.raises(InputError, match=rf"this job has a GPU \(.*{given}\), but torch .* was built without CUDA"):
            devices.set_up(Execution())
    assert devices.set_up(Execution(device="cpu")).type == "cpu"
    monkeypatch.setattr(torch.backends.cuda, "is_built", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert devices.set_up(Execution()).type == "cpu"  # as on a machine whose driver is broken: torch says so itself


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
