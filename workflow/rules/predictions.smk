# What each trained network says of each test image.
rule predictions:
    input:
        data=rules.prepare_data.output.manifest,
        checkpoint=rules.train.output.checkpoint,
    output:
        table="<run>/measurements/predictions/{network}-seed{seed}.csv",
        record="<run>/jobs/measurements/predictions/{network}-seed{seed}.json",
    log:
        "<run>/logs/measurements/predictions/{network}-seed{seed}.log",
    priority: 1
    conda:
        "../envs/torch.yaml"
    threads: CONFIG.execution.threads
    resources:
        runtime=runtime("predictions"),
        mem_mb=memory("predictions"),
        gpu=GPUS,
        side_by_side=GPUS,
    params:
        config=RESOLVED,
        part=CONFIG.prediction_part(),
    message:
        "Predict the test images' classes with {wildcards.network}, seed {wildcards.seed}"
    shell:
        "python scripts/predict.py --config {params.config} --data {input.data} --network {wildcards.network}"
        " --checkpoint {input.checkpoint} --output {output.table} --record {output.record} 2> {log}"
