# The checked config, the run's folder, and what the other rule files share.
import sys
from pathlib import Path

sys.path.insert(0, str(Path(workflow.basedir).parent / "scripts"))

from unravel import config as settings
from unravel.files import InputError

try:
    CONFIG = settings.parse(config)
except InputError as error:
    sys.exit(f"error: {error}")


pathvars:
    run=f"results/{CONFIG.run}",
    data=f"results/{CONFIG.run}/data/{CONFIG.dataset.name}",


wildcard_constraints:
    network="|".join(CONFIG.networks),
    seed=r"\d+",


# Ancient: the file is rewritten when any key changes, but a job is redone only when its own part of the config does,
# which stands in its params.
RESOLVED = ancient("<run>/config.yaml")


rule config:
    output:
        "<run>/config.yaml",
    log:
        "<run>/logs/config.log",
    localrule: True
    conda:
        "../envs/torch.yaml"
    params:
        config=CONFIG.model_dump_json(),
    message:
        "Write the resolved config of run {CONFIG.run}"
    shell:
        "python scripts/resolve_config.py --config {params.config:q} --output {output} 2> {log}"
