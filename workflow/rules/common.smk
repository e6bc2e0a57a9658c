# The checked config, the run's folder, and what the other rule files share.
import math
import shutil
import sys
from functools import lru_cache
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from unravel import config as settings
from unravel import cost, slurm
from unravel.files import InputError, atomic, require_writable

try:
    CONFIG = settings.parse(config)
    require_writable(f"results/{CONFIG.run}")
except InputError as error:
    sys.exit(f"error: {error}")


pathvars:
    run=f"results/{CONFIG.run}",
    data=f"results/{CONFIG.run}/data/{CONFIG.dataset.name}",


wildcard_constraints:
    network="|".join(CONFIG.networks),
    seed=r"\d+",


# Jobs read their keys from this file. It is no input of theirs, since it changes with any key: each rule names the part
# of the config that decides its result in its params instead, and is redone when that part changes.
RESOLVED = f"results/{CONFIG.run}/config.yaml"


# What a cluster is asked for, by what the config's jobs are estimated to cost. A local run asks for none of it.
# A job with a network counts as the user of a GPU where there may be one: in this machine, or in the cluster.
GPUS = int(CONFIG.execution.device != "cpu" and any(map(shutil.which, ("nvidia-smi", "sbatch"))))
DEVICE = "gpu" if GPUS else "cpu"
# Jobs at once on this machine's GPU, which a single narrow network leaves mostly idle; `--resources side_by_side=1` says
# otherwise. The default profile would outvote a cluster's, so it is said here; a limit of `gpu` itself would cut down a
# job that needs several.
workflow.global_resources.setdefault("side_by_side", 4)


resource_scopes:
    side_by_side="local",  # within this machine or within a submission, not in a whole cluster
    drawing="local",


LONGEST = 24 * 60  # minutes; a training that takes longer goes on in its next attempt


UNKNOWN_MB = 16000


@lru_cache
def costs():
    """What the jobs cost; None as long as images of the user's own have not been prepared."""
    try:
        return cost.Costs(CONFIG)
    except InputError:
        return None


def runtime(rule):
    """Time limit in minutes, generously: three times the estimate, more with each attempt."""

    def minutes(wildcards, attempt):
        if costs() is None:
            return LONGEST
        experiment = getattr(wildcards, "experiment", None)
        seconds = costs().seconds(rule, wildcards.network, experiment, DEVICE)
        return min(LONGEST, attempt * (5 + math.ceil(3 * seconds / 60)))

    return minutes


def memory(rule):
    """Memory in MB, twice as much with each attempt."""

    def megabytes(wildcards, attempt):
        once = costs().memory_mb(rule, wildcards.network, DEVICE) if costs() else UNKNOWN_MB
        return 2 ** (attempt - 1) * once

    return megabytes


def place():
    """What a training asks for beside time and memory: GPUs of one machine, or the same on each of several."""
    each, nodes = CONFIG.execution.processes, CONFIG.execution.nodes
    if nodes == 1:
        return {"gpu": GPUS * each, "nodes": 1}  # else Slurm may take the GPUs from several machines
    tasks = max(2, each)  # the plugin refuses 1; the training itself starts one launcher on each machine by srun
    cpus = math.ceil(each * (CONFIG.execution.threads + CONFIG.execution.workers) / tasks)
    gpus = {"gres": f"gpu:{each}"} if GPUS else {}
    return {"mpi": "srun", "nodes": nodes, "tasks_per_node": tasks, "cpus_per_task": cpus, **gpus}


# What takes seconds is not estimated. On a cluster these jobs share a submission, in which they run one by one.
DRAWING = {"runtime": 5, "drawing": 1}


# The job takes the shell's place, so that a signal reaches it: a training told to end then saves its state.
shell.prefix("set -euo pipefail; exec ")


def check_cluster():
    """Look at the cluster before the first job is submitted."""
    jobs = [job for job in workflow.dag.needrun_jobs() if not job.is_local]
    try:
        slurm.check((job.resources.slurm_partition for job in jobs), workflow.executor_settings.status_command)
    except InputError as error:
        sys.exit(f"error: {error}")


onstart:
    if workflow.executor_plugin.name == "slurm":
        check_cluster()
    with atomic(RESOLVED) as partial:
        partial.write_text(settings.to_yaml(CONFIG), encoding="utf-8")


# One network, or none in a run that follows no gradient.
GRADIENT_NETWORKS = [CONFIG.gradients.network] if CONFIG.gradients.network else []
LESIONS = "<run>/measurements/{experiment}/{network}-seed{seed}.csv"


def lesion_tables(experiment, networks):
    """The tables of one lesion study, for these networks and all seeds."""
    return expand(LESIONS, experiment=experiment, network=networks, seed=CONFIG.seeds)


# Figures and claims are cheap, so a change of the code behind their numbers makes them again.
SHARED_CODE = [f"scripts/unravel/{module}.py" for module in ("summaries", "statistics", "figures/style")]


def about_figure(wildcards, output):
    """What `snakemake --report` says of a figure: what the article calls it."""
    catalogue = Path(workflow.basedir).parent / "report" / "figures.yaml"
    for entry in yaml.safe_load(catalogue.read_text(encoding="utf-8")):
        if entry.get("slug") == Path(output.svg).stem:
            return f"{entry['label']}. {entry['title']}. {entry['note']}"
    return f"{Path(output.svg).stem}, a figure of a run without an article"  # Figure 4
