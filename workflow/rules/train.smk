# One job per network and seed: a network is trained, or its weights are fetched. In a sealed run there is no such job.
rule train:
    input:
        data=MANIFEST,
    output:
        checkpoint="<run>/checkpoints/{network}/seed{seed}.safetensors",
        history="<run>/checkpoints/{network}/seed{seed}.history.csv",
        record="<run>/jobs/checkpoints/{network}/seed{seed}.json",
    log:
        "<run>/logs/train/{network}-seed{seed}.log",
    wildcard_constraints:
        network=NONE if SEAL else "|".join(CONFIG.trained) or NONE,
    conda:
        ENVIRONMENTS[True]
    threads: CONFIG.execution.processes * (CONFIG.execution.threads + CONFIG.execution.workers)
    resources:
        **ASKED.place(),
        runtime=ASKED.runtime(),
        mem_mb=ASKED.memory(),
        side_by_side=ASKED.gpus,
    params:
        scripts=scripts_folder,
        config=resolved_config,
        part=lambda wildcards: CONFIG.training_part(wildcards.network),
    message:
        "Train {wildcards.network}, seed {wildcards.seed}, for {params.part[training][epochs]} epochs"
    shell:
        "exec python {params.scripts}/train.py --config {params.config} --data {input.data} --network {wildcards.network}"
        " --seed {wildcards.seed} --checkpoint {output.checkpoint} --history {output.history}"
        " --record {output.record} 2> {log}"


rule fetch_weights:
    input:
        data=MANIFEST,
    output:
        checkpoint=rules.train.output.checkpoint,
        record=rules.train.output.record,
    log:
        "<run>/logs/fetch_weights/{network}-seed{seed}.log",
    wildcard_constraints:
        network=NONE if SEAL else "|".join(set(CONFIG.networks) - set(CONFIG.trained)) or NONE,
    conda:
        ENVIRONMENTS[True]
    threads: CONFIG.execution.threads + CONFIG.execution.workers
    params:
        scripts=scripts_folder,
        config=resolved_config,
        part=lambda wildcards: CONFIG.training_part(wildcards.network),
    message:
        "Fetch the weights of {wildcards.network}"
    shell:
        "exec python {params.scripts}/fetch_weights.py --config {params.config} --data {input.data} --network {wildcards.network}"
        " --seed {wildcards.seed} --checkpoint {output.checkpoint} --record {output.record} 2> {log}"
