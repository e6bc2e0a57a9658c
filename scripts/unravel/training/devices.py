"""Where a job computes: CPU threads, or a GPU if there is one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from unravel.config import Execution
from unravel.files import InputError

NONE_GIVEN = ("", "-1", "NoDevFiles")  # what CUDA_VISIBLE_DEVICES says where a job has no GPU
DRIVER = Path("/dev/nvidia0")  # there, if the machine has a GPU and its driver


def set_up(execution: Execution) -> torch.device:
    """Set the number of CPU threads and return the device.

    Raises InputError if CUDA is asked for and absent, and if a job has a GPU that its torch cannot use.
    """
    torch.set_num_threads(execution.threads)
    with_cuda = torch.backends.cuda.is_built()  # type: ignore[no-untyped-call]
    if execution.device == "auto" and not with_cuda and (given := _gpu_given()):
        raise InputError(
            f"execution.device is auto and this job has a GPU ({given}), but torch {torch.__version__} was built "
            "without CUDA, as conda takes it where it sees no GPU; install one with CUDA (docs/cluster.md says how), "
            "or set execution.device to cpu"
        )
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise InputError("execution.device is cuda, but torch sees no GPU here; use auto or cpu, or check the driver")
    use_cuda = execution.device == "cuda" or (execution.device == "auto" and torch.cuda.is_available())
    torch.backends.cudnn.benchmark = use_cuda  # batches keep their size, so it pays to try which kernels are fastest
    return torch.device("cuda" if use_cuda else "cpu")


def _gpu_given() -> str:
    """What says that this job has a GPU; "" if nothing does. A cluster's variables count before the machine's own."""
    for name in ("CUDA_VISIBLE_DEVICES", "SLURM_JOB_GPUS"):
        if name in os.environ:
            given = os.environ[name] not in NONE_GIVEN
            return f"{name}={os.environ[name]}" if given else ""
    return str(DRIVER) if DRIVER.exists() else ""


def require_precision(device: torch.device, precision: str) -> None:
    """Raise InputError if the device cannot train in this precision."""
    if precision == "bf16" and device.type == "cuda" and not torch.cuda.is_bf16_supported():
        raise InputError(
            f"training.precision is bf16, which {torch.cuda.get_device_name(device)} does not have; use fp32"
        )


@contextmanager
def memory_limit(batch_size: int) -> Iterator[None]:
    """Turn a GPU's lack of memory into an InputError that names the key to change."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        free, total = (amount / 2**30 for amount in torch.cuda.mem_get_info())
        raise InputError(
            f"the GPU's memory is full ({free:.1f} of {total:.1f} GB free) with training.batch_size {batch_size}; free "
            f"some and call again, which goes on from the saved state, or start over with {max(2, batch_size // 2)}"
        ) from error
