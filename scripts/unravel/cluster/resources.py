"""What Snakemake's rules ask a cluster for: time, memory, GPUs and machines, by what jobs are estimated to cost."""

import math
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any

from unravel.cluster import slurm
from unravel.cluster.cost import Costs, Job
from unravel.files import InputError
from unravel.run import Config
from unravel.studies.base import Study

LONGEST = 24 * 60  # minutes; a training that takes longer goes on in its next attempt
UNKNOWN_MB = 16000


class Resources:
    """What the jobs of a run are given. `device` is cpu or gpu; `estimated` says whether anyone asks, as clusters do.

    Where nobody does, nothing is estimated, since Snakemake plans faster without torch.
    """

    def __init__(self, config: Config, device: str, estimated: Callable[[], bool]) -> None:
        self.config, self.device, self.estimated = config, device, estimated

    @property
    def gpus(self) -> int:
        """GPUs of a job with a network."""
        return int(self.device == "gpu")

    @cached_property
    def costs(self) -> Costs | None:
        """What the jobs cost; None if images of the user's own had not been prepared when this was first asked."""
        try:
            return Costs(self.config) if self.estimated() else None
        except InputError:
            return None

    def runtime(self, study: Study | None = None) -> Callable[[Any, int], int]:
        """Time limit in minutes, generously: three times the estimate, more with each attempt."""

        def minutes(wildcards: Any, attempt: int) -> int:
            if self.costs is None:
                return LONGEST
            seconds = self.costs.seconds(Job(wildcards.network, 0, study), self.device)
            return min(LONGEST, attempt * (5 + math.ceil(3 * seconds / 60)))

        return minutes

    def memory(self, study: Study | None = None) -> Callable[[Any, int], int]:
        """Memory in MB, twice as much with each attempt."""

        def megabytes(wildcards: Any, attempt: int) -> int:
            once = self.costs.memory_mb(Job(wildcards.network, 0, study), self.device) if self.costs else UNKNOWN_MB
            return int(2 ** (attempt - 1) * once)

        return megabytes

    def place(self) -> dict[str, Any]:
        """What a training asks for beside time and memory: GPUs of one machine, or the same on each of several."""
        execution = self.config.execution
        each, nodes = execution.processes, execution.nodes
        if nodes == 1:
            return {"gpu": self.gpus * each, "nodes": 1}  # else Slurm may take the GPUs from several machines
        tasks = max(2, each)  # the plugin refuses 1; the training itself starts one launcher on each machine by srun
        cpus = math.ceil(each * (execution.threads + execution.workers) / tasks)
        gpus = {"gres": f"gpu:{each}"} if self.gpus else {}
        return {"mpi": "srun", "nodes": nodes, "tasks_per_node": tasks, "cpus_per_task": cpus, **gpus}


def check(jobs: Iterable[Any], status_command: str | None) -> None:
    """Look at the cluster before the first job is submitted. Raises InputError as `slurm.check` does."""
    slurm.check((job.resources.slurm_partition for job in jobs if not job.is_local), status_command)
