# The paper's claims, decided from measurements by the criteria in the studies' folders.
rule claims:
    input:
        claims=[code(path.relative_to(ROOT).as_posix())[0] for path in claims_files(CONFIG)],
        code=code("scripts/unravel/evidence/claims.py", "scripts/unravel/studies/*/values.py"),
        shared=SHARED_CODE,
        tables=[
            tables(study.key, study.measurement.networks(CONFIG))
            for study in STUDIES.values()
            if study.measurement and study.measurement.trained
        ],
    output:
        claims=report("<run>/claims.json", caption="../report/result.rst", category="Claims"),
        record="<run>/jobs/claims.json",
    log:
        "<run>/logs/claims.log",
    group:
        "drawings"
    conda:
        ENVIRONMENTS[False]
    resources:
        **DRAWING,
    params:
        scripts=scripts_folder,
        config=resolved_config,
        run=subpath(output.claims, parent=True),
        part=CONFIG.claims_part(),
        about="The verdict on each of the paper's claims, with the values it rests on.",
    message:
        "Decide the paper's claims"
    shell:
        "exec python {params.scripts}/judge_claims.py --config {params.config} --claims {input.claims:q} --run {params.run}"
        " --inputs {input.tables} --output {output.claims} --record {output.record} 2> {log}"
