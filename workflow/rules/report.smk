# The article: everything above, in one offline HTML file.
rule report:
    input:
        source=code(
            *(
                f"{folder}/**/*.{suffix}"
                for folder in ("report", "scripts/unravel/studies")
                for suffix in ("html", "css", "js", "yaml", "bib")
            ),
            "scripts/unravel/article/*.py",
        ),
        module=code(*(f"scripts/unravel/evidence/{module}.py" for module in ("checks", "provenance", "sources"))),
        data=[MANIFEST, DATA_RECORD],
        training=[
            expand(
                [rules.train.output.checkpoint, rules.train.output.record], network=CONFIG.networks, seed=CONFIG.seeds
            ),
            expand(rules.train.output.history, network=CONFIG.trained, seed=CONFIG.seeds),
        ],
        figures=list(WANTED.values()),
        claims=rules.claims.output,
    output:
        "<run>/report.html",
    log:
        "<run>/logs/report.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        scripts=scripts_folder,
        run=subpath(output[0], parent=True),
        config=CONFIG.model_dump_json(),
    message:
        "Write the report to {output}"
    shell:
        "exec python {params.scripts}/write_report.py --run {params.run} --output {output} 2> {log}"


# What the records of all jobs say, for machines; no job reads it.
rule provenance:
    input:
        report=rules.report.output if CONFIG.whole else list(WANTED.values()),
        claims=rules.claims.output.claims,
        module=code("scripts/unravel/evidence/provenance.py"),
    output:
        "<run>/provenance.json",
    log:
        "<run>/logs/provenance.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        scripts=scripts_folder,
        run=subpath(output[0], parent=True),
    message:
        "Write down where everything comes from: {output}"
    shell:
        "exec python {params.scripts}/write_provenance.py --run {params.run} --output {output} 2> {log}"


# After all else is written, so that a run with a failed check has its report: its first line says which failed.
rule check:
    input:
        metadata="<run>/ro-crate-metadata.json",
        module=code("scripts/unravel/evidence/checks.py"),
    output:
        "<run>/checks.txt",
    log:
        "<run>/logs/checks.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        scripts=scripts_folder,
        run=subpath(output[0], parent=True),
    message:
        "Check the science of the run"
    shell:
        "exec python {params.scripts}/check.py --run {params.run} --output {output} 2> {log}"


rule crate:
    input:
        provenance=rules.provenance.output,
        module=code("scripts/unravel/evidence/crate.py"),
    output:
        metadata="<run>/ro-crate-metadata.json",
        code=directory("<run>/code"),
    log:
        "<run>/logs/crate.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        scripts=scripts_folder,
        run=subpath(output.metadata, parent=True),
    message:
        "Describe the run as an RO-Crate"
    shell:
        "exec python {params.scripts}/write_crate.py --run {params.run} --provenance {input.provenance} --code {output.code}"
        " --output {output.metadata} 2> {log}"
