# Which paths there are, how many of each length, and how much gradient they carry.
GRADIENTS = "<run>/measurements/gradients/{network}-seed{seed}"


rule count_paths:
    output:
        table="<run>/measurements/paths/{network}.csv",
        record="<run>/jobs/measurements/paths/{network}.json",
    log:
        "<run>/logs/measurements/paths/{network}.log",
    conda:
        "../envs/figures.yaml"
    resources:
        **DRAWING,
    params:
        blocks=lambda wildcards: CONFIG.networks[wildcards.network].n_blocks,
    message:
        "Count the paths of {wildcards.network}"
    shell:
        "python scripts/count_paths.py --blocks {params.blocks} --output {output.table} --record {output.record} 2> {log}"


# The small networks that the paper's Figures 1 and 2 draw, whatever the run's own networks are.
DRAWN_BLOCKS = 3
DRAWN_DELETIONS = {"intact": [], "without-block-2": [2]}


rule list_paths:
    output:
        table="<run>/measurements/single_paths/{kind}-{lesion}.csv",
        record="<run>/jobs/measurements/single_paths/{kind}-{lesion}.json",
    log:
        "<run>/logs/measurements/single_paths/{kind}-{lesion}.log",
    wildcard_constraints:
        kind="residual|plain",
        lesion="|".join(DRAWN_DELETIONS),
    conda:
        "../envs/figures.yaml"
    resources:
        **DRAWING,
    params:
        blocks=DRAWN_BLOCKS,
        deleted=lambda wildcards: DRAWN_DELETIONS[wildcards.lesion],
    message:
        "List the paths of a {wildcards.kind} network of {params.blocks} blocks, {wildcards.lesion}"
    shell:
        "python scripts/list_paths.py --network {wildcards.kind} --blocks {params.blocks} --deleted {params.deleted}"
        " --output {output.table} --record {output.record} 2> {log}"


rule gradients:
    input:
        data=rules.prepare_data.output.manifest,
        checkpoint=rules.train.output.checkpoint,
    output:
        sampled=f"{GRADIENTS}.sampled.csv",
        exact=f"{GRADIENTS}.exact.csv",
        record="<run>/jobs/measurements/gradients/{network}-seed{seed}.json",
    log:
        "<run>/logs/measurements/gradients/{network}-seed{seed}.log",
    priority: 1
    conda:
        "../envs/torch.yaml"
    threads: CONFIG.execution.threads
    resources:
        runtime=runtime("gradients"),
        mem_mb=memory("gradients"),
        gpu=GPUS,
        side_by_side=GPUS,
    params:
        config=RESOLVED,
        part=CONFIG.gradient_part(),
    message:
        "Measure the gradient of {wildcards.network}, seed {wildcards.seed}, by path length"
    shell:
        "python scripts/measure_gradients.py --config {params.config} --data {input.data} --network {wildcards.network}"
        " --checkpoint {input.checkpoint} --sampled {output.sampled} --exact {output.exact}"
        " --record {output.record} 2> {log}"
