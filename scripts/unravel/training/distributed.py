"""Several processes that train one network together, each on its share of every batch, through torch.distributed.

`launch` starts them as torchrun does, on the machines of a SLURM job by way of srun.
"""

import logging
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ErrorHandler, ProcessFailure
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from unravel.files import InputError

SECONDS_TO_SAVE = 300  # for processes that were asked to end
SECONDS_TO_FOLLOW = 30  # for the processes of other machines, once those of one have ended
ENDED_BY_ANOTHER = 75  # exit code of a process that lost another one
MEETING = "UNRAVEL_MEETING"  # where the machines of a training meet: host and port of the first one


@dataclass(frozen=True)
class Group:
    """The processes of a training, of which this one is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process speaks and writes for all."""
        return self.rank == 0

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over all processes; `tensor` is overwritten."""
        if self.size > 1:
            dist.all_reduce(tensor)
        return tensor

    def any(self, flag: bool) -> bool:
        """Whether any process says so: all must stop at the same step. Asked through the CPU, no GPU waits for it."""
        return bool(self.total(torch.tensor(int(flag)))) if self.size > 1 else flag

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        for tensor in tensors:
            if self.size > 1:
                dist.broadcast(tensor, src=0)

    def wait(self) -> None:
        """Go on when all processes are here."""
        self.any(False)

    def averaging(self, network: nn.Module, same_parameters: bool) -> nn.Module:
        """The network as each process runs it: its gradients become the mean over processes.

        `same_parameters` says that every batch trains all of them; else some may be left out, the same ones in every
        process. BN statistics stay each process's own.
        """
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(
            network, forward_sync_buffers=False, find_unused_parameters=not same_parameters
        )


ALONE = Group()


def unshared(model: nn.Module) -> AbstractContextManager[None]:
    """Leave the gradients of what `Group.averaging` returned as they are, until the next backward pass outside."""
    return model.no_sync() if isinstance(model, nn.parallel.DistributedDataParallel) else nullcontext()


def started() -> bool:
    """Whether `launch` started this process."""
    return "WORLD_SIZE" in os.environ


@contextmanager
def joined(device: torch.device, parts: int) -> Iterator[Group]:
    """Meet the other processes; alone if none was started. `parts` is into how many a batch is divided.

    Raises InputError if the processes do not divide the parts, or are more than the GPUs here.
    """
    if not started():
        yield ALONE
        return
    size = int(os.environ["WORLD_SIZE"])
    if parts % size:
        raise InputError(f"{size} processes do not divide the {parts} parts of a batch; make training.parts a multiple")
    if device.type == "cuda":
        local = int(os.environ["LOCAL_RANK"])
        if local >= torch.cuda.device_count():
            raise InputError(
                f"{os.environ['LOCAL_WORLD_SIZE']} processes, but torch sees {torch.cuda.device_count()} GPUs here; "
                "lower execution.processes"
            )
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), size)
    finally:
        dist.destroy_process_group()


def launch(processes: int, nodes: int = 1) -> None:
    """Run this command again in so many processes on each of so many machines, and wait for them.

    Several machines are those of the SLURM job in which this is called. Raises InputError with the reason if a process
    fails, or if there is no such job.
    """
    if nodes > 1 and MEETING not in os.environ:
        start_on_each(nodes)
    logging.disable()  # the reason is told once, below
    settings = LaunchConfig(
        min_nodes=nodes,
        max_nodes=nodes,
        nproc_per_node=processes,
        **(meeting_of_machines() if nodes > 1 else meeting_on_this_machine()),
        max_restarts=0,
        run_id="training",
        shutdown_timeout=SECONDS_TO_SAVE,
    )
    try:
        elastic_launch(settings, sys.executable)(*sys.argv)
    except ChildFailedError as error:
        raise InputError(reason(error.failures)) from error
    except SignalException:
        sys.exit(1)  # the first process has saved the state and said so


def meeting_on_this_machine() -> dict[str, Any]:
    """Where the processes meet: at a port that is free."""
    return {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}


def meeting_of_machines() -> dict[str, Any]:
    """Where the processes meet, and which machine of the job this one is."""
    place = {"rank": int(os.environ["SLURM_NODEID"])}
    return {"rdzv_backend": "static", "rdzv_endpoint": os.environ[MEETING], "rdzv_configs": place}


def start_on_each(nodes: int) -> NoReturn:
    """Run this command again once on each machine of the SLURM job, of which this is the first; does not return.

    Raises InputError if this is no such job.
    """
    if "SLURMD_NODENAME" not in os.environ:  # which Slurm sets on the machines of a job, and on no login node
        raise InputError(
            f"execution.nodes is {nodes}, but this is no SLURM job; call snakemake with --profile "
            "workflow/profiles/slurm, or set execution.nodes to 1"
        )
    with socket.create_server(("", 0)) as free:
        os.environ[MEETING] = f"{socket.gethostname()}:{free.getsockname()[1]}"
    wait = f"--wait={SECONDS_TO_FOLLOW}"  # a process that has not met the others yet does not notice that one is gone
    each = [f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", "--cpu-bind=none", wait]
    os.execvp("srun", ["srun", *each, sys.executable, *sys.argv])


def reason(failures: Mapping[int, ProcessFailure]) -> str:
    """Why a training of several processes ended, in one line: of those that failed, one that did so by itself."""
    for failure in failures.values():
        told = failure.error_file_data["message"]  # a string where the process could not write why
        if isinstance(told, dict):
            return str(told["message"]).removeprefix("InputError: ")
    for rank, failure in failures.items():
        if failure.exitcode < 0:
            return f"process {rank} was ended by {failure.signal_name()}; call again to go on from the saved state"
    for rank, failure in failures.items():
        if failure.exitcode != ENDED_BY_ANOTHER:
            return f"process {rank} failed; its trace stands above"
    return "the processes here lost another one, which says why in the same log"


def run_member(main: Callable[[], None]) -> None:
    """Run the main of one process: an InputError is handed to what launched it, which tells it once for all."""
    try:
        main()
    except InputError as error:
        ErrorHandler().record_exception(error)
        sys.exit(1)
    except RuntimeError as error:
        if isinstance(error, dist.DistError) or "by peer" in str(error):
            sys.exit(ENDED_BY_ANOTHER)
        raise
