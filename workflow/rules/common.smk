# The checked config, the run's folder, and what the other rule files share.
import re
import shlex
import shutil
import sys
from pathlib import Path

ROOT = Path(workflow.snakefile).resolve().parents[2]  # the code's folder; results are in the working directory
if not (ROOT / "scripts" / "unravel").is_dir():
    sys.exit(
        f"error: {workflow.snakefile}: lies without the scripts that it calls; clone the repository and name its file"
    )
sys.path.insert(0, str(ROOT / "scripts"))

from unravel import place, resolved
from unravel.cluster import resources
from unravel.evidence import seal
from unravel.files import InputError, require_writable
from unravel.run import parse_config
from unravel.studies import FIGURES, STUDIES, claims_files

try:
    CONFIG = parse_config(config)
    RUN = Path("results", CONFIG.run)
    require_writable(RUN)
    SEAL = seal.read(RUN)
    if SEAL:
        if workflow.is_main_process:
            SEAL.require_intact(RUN)
        SEAL.require_same(RUN, CONFIG)
except InputError as error:
    sys.exit(f"error: {error}")


HERE = place.here()


def code(*patterns):
    """Files of the code, as the working directory sees them: relative where that is the code's own folder."""
    found = sorted(path for pattern in patterns for path in ROOT.glob(pattern) if path.is_file())
    return [str(path.relative_to(ROOT) if HERE else path) for path in found]


pathvars:
    run=RUN.as_posix(),
    data=f"{RUN.as_posix()}/data/{CONFIG.dataset.name}",


wildcard_constraints:
    seed=r"\d+",


RESOLVED = resolved.path(RUN, CONFIG)


def resolved_config(wildcards, output):
    """The file that jobs read their keys from.

    It is no input of theirs, since it is another with any key: each rule names the part of the config that decides its
    result in its params, and is redone when that part changes. This param is not compared, as it could follow `output`.
    """
    return RESOLVED


def scripts_folder(wildcards, output):
    """The folder of the scripts that jobs call. Like the config's file, it is not compared: what it holds may move."""
    occupy_for_another()
    return "scripts" if HERE else shlex.quote(str(ROOT / "scripts"))


# By whether torch is needed. torchvision and timm come with it only where images are decoded while they are used, or
# where a network is one of theirs.
NAMED = CONFIG.dataset.source == "imagenet" or len(CONFIG.trained) < len(CONFIG.networks)
ENVIRONMENTS = {True: f"../envs/{'named' if NAMED else 'torch'}.yaml", False: "../envs/figures.yaml"}

SEALED = SEAL.jobs if SEAL else frozenset()
NONE = "(?!)"  # what no name matches


def made_here(folder, names):
    """What a rule's wildcard may be among these names, so that it does not claim what sealed jobs below `folder` made."""
    kept = [re.escape(job.removeprefix(f"{folder}/")) for job in sorted(SEALED) if job.startswith(f"{folder}/")]
    return "".join(f"(?!{job}\\.)" for job in kept) + f"(?:{'|'.join(names) or NONE})"


# What a cluster is asked for, by what the config's jobs are estimated to cost; only the call that submits jobs asks.
# A job with a network counts as the user of a GPU where there may be one: in this machine, or in the cluster.
MAY_HAVE_GPU = CONFIG.execution.device != "cpu" and any(map(shutil.which, ("nvidia-smi", "sbatch")))
ASKED = resources.Resources(
    CONFIG,
    "gpu" if MAY_HAVE_GPU else "cpu",
    estimated=lambda: workflow.executor_plugin is not None and not workflow.local_exec and workflow.is_main_process,
)
# A profile names the partition of trainings; all jobs with a network go there.
WITH_NETWORK = {
    name: value.raw
    for name, value in workflow.resource_settings.overwrite_resources.get("train", {}).items()
    if name == "slurm_partition"
}
DRAWING = {"runtime": 5, "drawing": 1}  # what takes seconds is not estimated
# Jobs at once on this machine's GPU, which a single narrow network leaves mostly idle; `--resources side_by_side=1` says
# otherwise. The default profile would outvote a cluster's, so it is said here; a limit of `gpu` itself would cut down a
# job that needs several.
workflow.global_resources.setdefault("side_by_side", 4 if workflow.is_main_process else 1)
# A submission plans its jobs anew and does not see the profile's limits: without them it would take as many CPUs as it has
# jobs that could run at once, and Slurm refuses what was not asked for.
if not workflow.is_main_process:
    workflow.global_resources.setdefault("drawing", 1)


resource_scopes:
    side_by_side="local",  # within this machine or within a submission, not in a whole cluster
    drawing="local",


# Each command takes the shell's place by `exec`, so that a signal reaches it: a training told to end saves its state.


def occupy():
    """Write the config that jobs read, and hold the run's folder until this process ends."""
    global occupied
    try:
        occupied = resolved.occupy(RUN, CONFIG, sealed=SEAL is not None)
    except InputError as error:
        sys.exit(f"error: {error}")


onstart:
    if workflow.executor_plugin.name == "slurm":
        try:
            resources.check(workflow.dag.needrun_jobs(), workflow.executor_settings.status_command)
        except InputError as error:
            sys.exit(f"error: {error}")
    occupy()


OF_ANOTHER = not workflow.modifier.is_main_snakefile()  # as a module, of which Snakemake calls no onstart
occupied = None


def occupy_for_another():
    """What onstart does, once jobs are planned to be run."""
    runs = workflow.is_main_process and workflow.executor_plugin is not None and not workflow.dryrun
    if OF_ANOTHER and occupied is None and runs:
        occupy()
