# Every figure has its rule, its table and its own command: `snakemake figure_3`, or `make figure FIG=3`.
# The first rule says how a figure is drawn; the others say only what differs: name, inputs and message.
rule figure_3:
    input:
        module="scripts/unravel/figures/single_deletion.py",
        data=expand(rules.measure_deletions.output.table, network=CONFIG.deletions.networks, seed=CONFIG.seeds),
    output:
        svg="<run>/figures/<figure>.svg",
        pdf="<run>/figures/<figure>.pdf",
        png="<run>/figures/<figure>.png",
        csv="<run>/figures/<figure>.csv",
        values="<run>/figures/<figure>.json",
        record="<run>/jobs/figures/<figure>.json",
    log:
        "<run>/logs/figures/<figure>.log",
    pathvars:
        figure="single-deletion",
    conda:
        "../envs/figures.yaml"
    params:
        scale=CONFIG.scale,
    message:
        "Draw Figure 3: the error after each single deletion"
    shell:
        "python scripts/draw_figure.py --module {input.module} --scale {params.scale} --inputs {input.data}"
        " --output {output.svg} --record {output.record} 2> {log}"


use rule figure_3 as figure_training with:
    input:
        module="scripts/unravel/figures/training_curves.py",
        data=expand(rules.train.output.history, network=CONFIG.networks, seed=CONFIG.seeds),
    pathvars:
        figure="training-curves",
    message:
        "Draw the training curves"


use rule figure_3 as figure_classes with:
    input:
        module="scripts/unravel/figures/class_overview.py",
        data=rules.prepare_data.output.manifest,
    pathvars:
        figure="class-overview",
    message:
        "Draw an overview of the classes"
