"""Where a job computes: CPU threads, or a GPU if there is one."""

import torch

from unravel.config import Execution
from unravel.files import InputError


def set_up(execution: Execution) -> torch.device:
    """Set the number of CPU threads and return the device. Raises InputError if CUDA is asked for and absent."""
    torch.set_num_threads(execution.threads)
    if execution.device == "cuda" and not torch.cuda.is_available():
        raise InputError("execution.device is cuda, but torch sees no GPU here; use auto or cpu, or check the driver")
    use_cuda = execution.device == "cuda" or (execution.device == "auto" and torch.cuda.is_available())
    return torch.device("cuda" if use_cuda else "cpu")
