# Every figure has its rule, its table and its own command: `snakemake figure_3`, or `make figure FIG=3`.
# The first rule says how a figure is drawn; the others say only what differs: name, inputs and message.
rule figure_3:
    input:
        module="scripts/unravel/figures/single_deletion.py",
        shared=SHARED_CODE,
        data=lesion_tables("deletions", CONFIG.deletions.figure_3),
    output:
        svg=report("<run>/figures/<figure>.svg", caption="../report/result.rst", category="Figures"),
        pdf="<run>/figures/<figure>.pdf",
        png="<run>/figures/<figure>.png",
        csv=report("<run>/figures/<figure>.csv", caption="../report/result.rst", category="Tables"),
        values="<run>/figures/<figure>.json",
        record="<run>/jobs/figures/<figure>.json",
    log:
        "<run>/logs/figures/<figure>.log",
    pathvars:
        figure="single-deletion",
    conda:
        "../envs/figures.yaml"
    resources:
        **DRAWING,
    params:
        scale=CONFIG.scale,
        about=about_figure,
    message:
        "Draw Figure 3: the error after each single deletion"
    shell:
        "python scripts/draw_figure.py --module {input.module} --scale {params.scale} --inputs {input.data}"
        " --output {output.svg} --record {output.record} 2> {log}"


use rule figure_3 as figure_1 with:
    input:
        module="scripts/unravel/figures/unraveled_view.py",
        shared=SHARED_CODE,
        data=expand(rules.list_paths.output.table, kind="residual", lesion="intact"),
    pathvars:
        figure="unraveled-view",
    message:
        "Draw Figure 1: a residual network, unraveled"


use rule figure_3 as figure_2 with:
    input:
        module="scripts/unravel/figures/unraveled_view.py",
        shared=SHARED_CODE,
        data=expand(rules.list_paths.output.table, kind=["residual", "plain"], lesion="without-block-2"),
    pathvars:
        figure="unraveled-deletion",
    message:
        "Draw Figure 2: the paths that deleting one block leaves"


use rule figure_3 as figure_4 with:
    input:
        module="scripts/unravel/figures/single_deletion.py",
        shared=SHARED_CODE,
        data=lesion_tables("deletions", CONFIG.deletions.figure_4),
    pathvars:
        figure="imagenet-deletion",
    message:
        "Draw Figure 4: the error after each single deletion, on ImageNet"


use rule figure_3 as figure_5a with:
    input:
        module="scripts/unravel/figures/random_deletion.py",
        shared=SHARED_CODE,
        data=lesion_tables("random_deletions", CONFIG.random_deletions.networks)
        + expand(rules.count_paths.output.table, network=CONFIG.random_deletions.networks),
    pathvars:
        figure="random-deletion",
    message:
        "Draw Figure 5a: the error after several deletions"


use rule figure_3 as figure_5b with:
    input:
        module="scripts/unravel/figures/reordering.py",
        shared=SHARED_CODE,
        data=lesion_tables("reorderings", CONFIG.reorderings.networks),
    pathvars:
        figure="reordering",
    message:
        "Draw Figure 5b: the error after swapping blocks"


use rule figure_3 as figure_6 with:
    input:
        module="scripts/unravel/figures/path_gradients.py",
        shared=SHARED_CODE,
        data=expand(
            [rules.gradients.output.sampled, rules.gradients.output.exact, rules.count_paths.output.table],
            network=GRADIENT_NETWORKS,
            seed=CONFIG.seeds,
        ),
    pathvars:
        figure="path-gradients",
    message:
        "Draw Figure 6: the gradient by path length"


use rule figure_3 as figure_7 with:
    input:
        module="scripts/unravel/figures/paths_left.py",
        shared=SHARED_CODE,
        data=expand(rules.count_paths.output.table, network=GRADIENT_NETWORKS),
    pathvars:
        figure="paths-left",
    message:
        "Draw Figure 7: the paths that deletions leave"


use rule figure_3 as figure_8 with:
    input:
        module="scripts/unravel/figures/single_deletion.py",
        shared=SHARED_CODE,
        data=lesion_tables("deletions", CONFIG.deletions.figure_8),
    pathvars:
        figure="stochastic-depth",
    message:
        "Draw Figure 8: single deletions after training with stochastic depth"


use rule figure_3 as figure_errors with:
    input:
        module="scripts/unravel/figures/test_errors.py",
        shared=SHARED_CODE,
        data=expand(rules.predictions.output.table, network=CONFIG.networks, seed=CONFIG.seeds),
    pathvars:
        figure="test-errors",
    message:
        "Draw the test errors of all networks"


use rule figure_3 as figure_training with:
    input:
        module="scripts/unravel/figures/training_curves.py",
        shared=SHARED_CODE,
        data=expand(rules.train.output.history, network=CONFIG.trained, seed=CONFIG.seeds),
    pathvars:
        figure="training-curves",
    message:
        "Draw the training curves"


use rule figure_3 as figure_classes with:
    input:
        module="scripts/unravel/figures/class_overview.py",
        shared=SHARED_CODE,
        data=rules.prepare_data.output.manifest,
    pathvars:
        figure="class-overview",
    message:
        "Draw an overview of the classes"


# Figures of an experiment that no network was named for are left out.
FIGURES = [
    figure
    for networks, figure in (
        (CONFIG.deletions.figure_3, rules.figure_3.output),
        (CONFIG.deletions.figure_4, rules.figure_4.output),
        (CONFIG.random_deletions.networks, rules.figure_5a.output),
        (CONFIG.reorderings.networks, rules.figure_5b.output),
        (GRADIENT_NETWORKS, rules.figure_6.output),
        (GRADIENT_NETWORKS, rules.figure_7.output),
        (CONFIG.deletions.figure_8, rules.figure_8.output),
    )
    if networks
]
if CONFIG.whole:
    FIGURES += [
        rules.figure_1.output,
        rules.figure_2.output,
        rules.figure_errors.output,
        rules.figure_training.output,
        rules.figure_classes.output,
    ]
