# The article: everything above, in one offline HTML file.
rule report:
    input:
        source=sorted(
            str(path) for path in Path("report").rglob("*") if path.suffix in (".html", ".css", ".js", ".yaml", ".bib")
        ),
        module=[f"scripts/unravel/{module}.py" for module in ("article", "panels", "references")],
        data=rules.prepare_data.output,
        training=expand(rules.train.output, network=CONFIG.networks, seed=CONFIG.seeds),
        figures=FIGURES,
        claims=rules.claims.output,
    output:
        "<run>/report.html",
    log:
        "<run>/logs/report.log",
    localrule: True
    conda:
        "../envs/figures.yaml"
    params:
        run=subpath(output[0], parent=True),
        config=CONFIG.model_dump_json(),
    message:
        "Write the report to {output}"
    shell:
        "python scripts/write_report.py --run {params.run} --output {output} 2> {log}"
