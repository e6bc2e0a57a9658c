# One job per network and seed.
rule train:
    input:
        data=rules.prepare_data.output.manifest,
    output:
        checkpoint="<run>/checkpoints/{network}/seed{seed}.safetensors",
        history="<run>/checkpoints/{network}/seed{seed}.history.csv",
        record="<run>/jobs/checkpoints/{network}/seed{seed}.json",
    log:
        "<run>/logs/train/{network}-seed{seed}.log",
    conda:
        "../envs/torch.yaml"
    threads: CONFIG.execution.threads
    resources:
        runtime=runtime("train"),
        mem_mb=memory("train"),
        gpu=GPUS,
    params:
        config=RESOLVED,
        part=lambda wildcards: CONFIG.training_part(wildcards.network),
    message:
        "Train {wildcards.network}, seed {wildcards.seed}, for {CONFIG.training.epochs} epochs"
    shell:
        "python scripts/train.py --config {params.config} --data {input.data} --network {wildcards.network}"
        " --seed {wildcards.seed} --checkpoint {output.checkpoint} --history {output.history}"
        " --record {output.record} 2> {log}"
