"""Sections `evaluation` and `execution`: how errors are measured, and how jobs run."""

from typing import Literal

from pydantic import Field

from unravel.config.base import Settings


class Evaluation(Settings):
    batch_size: int = Field(500, ge=1, description="Test images evaluated at once.")
    precision: Literal["fp32", "bf16"] = Field("fp32", description="Arithmetic of the evaluation.")


class Execution(Settings):
    """How jobs run. A change here redoes nothing."""

    device: Literal["auto", "cpu", "cuda"] = Field("auto", description="`auto` takes CUDA where there is a GPU.")
    threads: int = Field(1, ge=1, description="CPU threads of each job.")
    processes: int = Field(
        1, ge=1, description="Processes that train a network together, each on a GPU of its own where there are any."
    )
    nodes: int = Field(
        1, ge=1, description="Machines of a SLURM cluster that train a network together, each with so many processes."
    )
    workers: int = Field(
        0, ge=0, description="Further processes of each job that decode images, where the source is `imagenet`."
    )
    checkpoint_every: int = Field(10, ge=1, description="Epochs between two saved states to resume from.")

    @property
    def members(self) -> int:
        """Processes that train a network together, on all machines."""
        return self.nodes * self.processes
