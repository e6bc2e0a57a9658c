# What happens to a trained network's error when blocks are taken away.
rule measure_deletions:
    input:
        data=rules.prepare_data.output.manifest,
        checkpoint=rules.train.output.checkpoint,
    output:
        table="<run>/measurements/deletions/{network}-seed{seed}.csv",
        record="<run>/jobs/measurements/deletions/{network}-seed{seed}.json",
    log:
        "<run>/logs/measurements/deletions/{network}-seed{seed}.log",
    conda:
        "../envs/torch.yaml"
    threads: CONFIG.execution.threads
    params:
        config=RESOLVED,
        part=CONFIG.evaluation_part(),
    message:
        "Delete every block of {wildcards.network}, seed {wildcards.seed}, in turn"
    shell:
        "python scripts/measure_deletions.py --config {params.config} --data {input.data}"
        " --network {wildcards.network} --checkpoint {input.checkpoint} --output {output.table}"
        " --record {output.record} 2> {log}"
