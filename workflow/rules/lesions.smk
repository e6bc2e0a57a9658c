# What happens to a trained network's error when blocks are deleted or swapped.
rule lesions:
    input:
        data=rules.prepare_data.output.manifest,
        checkpoint=rules.train.output.checkpoint,
    output:
        table=LESIONS,
        record="<run>/jobs/measurements/{experiment}/{network}-seed{seed}.json",
    log:
        "<run>/logs/measurements/{experiment}/{network}-seed{seed}.log",
    wildcard_constraints:
        experiment="deletions|random_deletions|reorderings",
    priority: 1  # before further trainings: the longest of these should not be what all wait for at the end
    conda:
        "../envs/torch.yaml"
    threads: CONFIG.execution.threads
    resources:
        runtime=runtime("lesions"),
        mem_mb=memory("lesions"),
        gpu=GPUS,
        side_by_side=GPUS,
    params:
        config=RESOLVED,
        part=lambda wildcards: CONFIG.lesion_part(wildcards.experiment),
    message:
        "Measure {wildcards.experiment} of {wildcards.network}, seed {wildcards.seed}"
    shell:
        "python scripts/measure_lesions.py --experiment {wildcards.experiment} --config {params.config}"
        " --data {input.data} --network {wildcards.network} --checkpoint {input.checkpoint} --output {output.table}"
        " --record {output.record} 2> {log}"
