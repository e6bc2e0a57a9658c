"""What must be true of a SLURM cluster before jobs are sent to it."""

import re
import shutil
import subprocess
from collections.abc import Iterable

from unravel.files import InputError

PROFILE = "workflow/profiles/slurm/config.yaml"


def check(partitions: Iterable[str], status_command: str | None) -> None:
    """Look at the cluster as jobs for these partitions will meet it; `status_command` None lets the plugin choose.

    Raises InputError if this machine cannot submit, a partition does not exist, or jobs' ends would go unnoticed.
    """
    if shutil.which("sbatch") is None:
        raise InputError(
            "executor slurm: there is no sbatch on PATH; call this on the cluster's login node, or leave out "
            "--profile workflow/profiles/slurm to run here"
        )
    known = _ask("sinfo", "--noheader", "--format=%R").split()
    for partition in sorted(set(partitions)):
        if partition not in known:
            raise InputError(
                f"{PROFILE}: slurm_partition is '{partition}', this cluster has {', '.join(sorted(set(known)))}; "
                "change it there"
            )
    # Without accounting sacct shows no job, and Snakemake waits for ever. The plugin prefers sacct if it may choose.
    if status_command != "squeue" and re.search(
        r"^AccountingStorageType\s*=\s*(\(null\)|accounting_storage/none)", _ask("scontrol", "show", "config"), re.M
    ):
        raise InputError(
            f"{PROFILE}: slurm-status-command is {status_command or 'not set'}, but this cluster keeps no accounting, "
            "so that no finished job would be noticed; set it to squeue"
        )


def _ask(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        reason = " ".join(done.stderr.split())
        raise InputError(f"executor slurm: {command[0]} gets no answer from the cluster: {reason}; is it up?")
    return done.stdout
