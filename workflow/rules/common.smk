# The checked config, the run's folder, and what the other rule files share.
import sys
from pathlib import Path

import yaml

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from unravel import config as settings
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


onstart:
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
