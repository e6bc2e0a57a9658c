# Everything that comes from the network, on the machine where Snakemake runs: a cluster's nodes may have none.
rule prefetch:
    log:
        "<run>/logs/prefetch.log",
    localrule: True
    conda:
        ENVIRONMENTS[True]
    params:
        scripts=scripts_folder,
        config=resolved_config,
    message:
        f"Download the images and pretrained weights that {CONFIG.run} needs"
    shell:
        "exec python {params.scripts}/prefetch.py --config {params.config} 2> {log}"


# The images, as uint8 tensors with a manifest that says what they are; ImageNet's stay where they are, and are listed.
SPLITS = "csv" if CONFIG.dataset.source == "imagenet" else "safetensors"
MANIFEST, IMAGES = "<data>/manifest.json", [f"<data>/train.{SPLITS}", f"<data>/test.{SPLITS}"]
DATA_RECORD = f"<run>/jobs/data/{CONFIG.dataset.name}.json"

if not SEAL:

    rule prepare_data:
        output:
            manifest=MANIFEST,
            train=IMAGES[0],
            test=IMAGES[1],
            record=DATA_RECORD,
        log:
            "<run>/logs/data.log",
        conda:
            ENVIRONMENTS[True]
        params:
            scripts=scripts_folder,
            config=resolved_config,
            part=CONFIG.dataset_part(),
            folder=subpath(output.manifest, parent=True),
        message:
            f"Prepare the images of {CONFIG.dataset.name}"
        shell:
            "exec python {params.scripts}/prepare_data.py --config {params.config} --output {params.folder}"
            " --record {output.record} 2> {log}"


# What else a sealed run's manifest describes may be absent, and is wanted by further measurements only.
elif not SEAL.holds_images:

    rule restore_images:
        input:
            MANIFEST,
        output:
            IMAGES,
        log:
            "<run>/logs/data.log",
        conda:
            ENVIRONMENTS[True]
        params:
            scripts=scripts_folder,
            config=resolved_config,
        message:
            f"Prepare the images of {CONFIG.dataset.name} as {{input}} describes them"
        shell:
            "exec python {params.scripts}/restore_images.py --config {params.config} --manifest {input} 2> {log}"
