# The paper's claims, decided from measurements by criteria that were fixed before any run.
rule claims:
    input:
        claims="report/claims.yaml",
        module="scripts/unravel/claims.py",
        shared=SHARED_CODE,
        tables=[
            lesion_tables("deletions", CONFIG.deletions.networks),
            lesion_tables("random_deletions", CONFIG.random_deletions.networks),
            lesion_tables("reorderings", CONFIG.reorderings.networks),
            expand(
                [rules.gradients.output.sampled, rules.gradients.output.exact],
                network=GRADIENT_NETWORKS,
                seed=CONFIG.seeds,
            ),
            expand(rules.predictions.output.table, network=CONFIG.networks, seed=CONFIG.seeds),
        ],
    output:
        claims=report("<run>/claims.json", caption="../report/result.rst", category="Claims"),
        record="<run>/jobs/claims.json",
    log:
        "<run>/logs/claims.log",
    conda:
        "../envs/figures.yaml"
    resources:
        **DRAWING,
    params:
        run=subpath(output.claims, parent=True),
        about="The verdict on each of the paper's claims, with the values it rests on.",
    message:
        "Decide the paper's claims"
    shell:
        "python scripts/judge_claims.py --claims {input.claims} --run {params.run} --inputs {input.tables}"
        " --output {output.claims} --record {output.record} 2> {log}"
