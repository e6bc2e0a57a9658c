"""Prepare a run's dataset: read it from its source, write it as uint8 tensors with a manifest."""

import argparse
import sys
from pathlib import Path

from unravel.data import preparation
from unravel.evidence import records
from unravel.files import run_command_line
from unravel.run import read_config


def main() -> None:
    """Prepare the data that the config names and record the job."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the run's config.yaml")
    parser.add_argument("--output", type=Path, required=True, help="folder for the two splits and manifest.json")
    parser.add_argument("--record", type=Path, required=True, help="where to write the job's record")
    arguments = parser.parse_args()
    settings = read_config(arguments.config)
    # Both are known once the source has been read; the record looks at them when the block ends.
    inputs: list[str] = []
    outputs: list[Path] = []
    with records.job(arguments.record, inputs=inputs, outputs=outputs, settings=settings.dataset_part()):
        manifest = preparation.prepare(settings.dataset, arguments.output)
        if manifest.identical and manifest.identical.in_both:
            said = f"{manifest.identical.in_both} of {manifest.test.images} test images are training images, too"
            print(f"{manifest.name}: {said}; take them out of one of the two", file=sys.stderr)
        inputs += [name for name in manifest.inputs if Path(name).is_file()]
        outputs += [arguments.output / name for name in (manifest.train.file, manifest.test.file, "manifest.json")]


if __name__ == "__main__":
    run_command_line(main)
