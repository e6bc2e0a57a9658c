# For each study of scripts/unravel/studies two rules, as far as it has such parts: one measures, one draws its figure.
# `snakemake figure_3`, or `make figure FIG=3`, makes a figure and what it rests on.
NAMES = {study.key: study.name for study in STUDIES.values()}
SOURCES = {
    "manifest": MANIFEST,
    "histories": rules.train.output.history,
}
# Figures and claims are cheap, so a change of the code behind their numbers makes them again.
SHARED_CODE = code(*(f"scripts/unravel/{module}.py" for module in ("statistics", "studies/paper", "studies/style")))


def tables(key, networks):
    """The files that a study's measurement writes of these networks, or another source of figures."""
    if key in SOURCES:
        return expand(SOURCES[key], network=networks, seed=CONFIG.seeds)
    study = STUDIES[NAMES[key]]
    written = getattr(rules, f"measure_{study.name}").output.tables
    return expand(written, network=networks, seed=study.measurement.seeds(CONFIG))


def not_made(figure):
    """The inputs of a figure that this run does not make: one line says so."""

    def refuse(wildcards):
        sys.exit(f"error: figure_{figure.number}: the config of run {CONFIG.run} names no network for {figure.label}")

    return refuse


for study in STUDIES.values():
    if study.measurement is None:
        continue

    rule:
        name:
            f"measure_{study.name}"
        input:
            **(
                {"data": MANIFEST, "checkpoint": rules.train.output.checkpoint, **({"images": IMAGES} if SEAL else {})}
                if study.measurement.trained
                else {}
            ),
        output:
            tables=[f"<run>/measurements/{name}" for name in study.table_names("{network}", "{seed}").values()],
            record=f"<run>/jobs/measurements/{study.stem('{network}', '{seed}')}.json",
        log:
            f"<run>/logs/measurements/{study.stem('{network}', '{seed}')}.log",
        wildcard_constraints:
            network=made_here(f"measurements/{study.key}", study.measurement.networks(CONFIG)),
        priority: 1  # before further trainings: the longest of these should not be what all wait for at the end
        group:
            "measurements" if study.measurement.trained else "drawings"
        conda:
            ENVIRONMENTS[study.measurement.trained]
        threads: CONFIG.execution.threads if study.measurement.trained else 1
        resources:
            **(
                {
                    "runtime": ASKED.runtime(study),
                    "mem_mb": ASKED.memory(study),
                    "gpu": ASKED.gpus,
                    "side_by_side": ASKED.gpus,
                    **WITH_NETWORK,
                }
                if study.measurement.trained
                else DRAWING
            ),
        params:
            scripts=scripts_folder,
            config=resolved_config,
            part=lambda wildcards, study=study: study.measurement.decides(CONFIG, wildcards.network),
            study=study.key,
            given=lambda wildcards, input: " ".join(
                f"--{name} {path}" for name, path in input.items() if name != "images"
            ),
        message:
            study.measurement.message.replace("{", "{wildcards.")
        shell:
            "exec python {params.scripts}/measure.py --study {params.study} --config {params.config} --network {wildcards.network}"
            " {params.given} --outputs {output.tables} --record {output.record} 2> {log}"


WANTED = {}  # the outputs of each figure that the config asks for

for slug, (study, figure) in FIGURES.items():
    networks = figure.shows(CONFIG)
    drawing = f"scripts/unravel/studies/{figure.drawn_by or study.name}"
    if f"figures/{slug}" in SEALED:  # it shows images, which need not be there
        WANTED[slug] = [
            f"<run>/{path}" for path in SEAL.files if path.removeprefix("jobs/").startswith(f"figures/{slug}.")
        ]

        rule:
            name:
                f"figure_{figure.number}"
            input:
                WANTED[slug],
            localrule: True

        continue

    rule:
        name:
            f"figure_{figure.number}"
        input:
            module=code(f"{drawing}/figure.py")[0],
            shared=[*SHARED_CODE, *code(f"{drawing}/values.py")],
            data=not_made(figure) if networks is None else [tables(key, networks) for key in figure.inputs],
        output:
            svg=report(f"<run>/figures/{slug}.svg", caption="../report/result.rst", category="Figures"),
            narrow=f"<run>/figures/{slug}.narrow.svg",
            pdf=f"<run>/figures/{slug}.pdf",
            png=f"<run>/figures/{slug}.png",
            csv=report(f"<run>/figures/{slug}.csv", caption="../report/result.rst", category="Tables"),
            values=f"<run>/figures/{slug}.json",
            record=f"<run>/jobs/figures/{slug}.json",
        log:
            f"<run>/logs/figures/{slug}.log",
        group:
            "drawings"
        conda:
            ENVIRONMENTS[False]
        resources:
            **DRAWING,
        params:
            scripts=scripts_folder,
            config=resolved_config,
            scale=CONFIG.scale,
            about=f"{figure.label}. {figure.title}. {figure.note}",
        message:
            f"Draw {figure.label}: {figure.title[0].lower()}{figure.title[1:]}"
        shell:
            "exec python {params.scripts}/draw_figure.py --module {input.module:q} --scale {params.scale} --config {params.config}"
            " --inputs {input.data} --output {output.svg} --record {output.record} 2> {log}"

    if networks is not None:
        WANTED[slug] = getattr(rules, f"figure_{figure.number}").output
