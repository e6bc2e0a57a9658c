"""Write a run's config with all defaults filled in."""

import argparse
import json

from unravel import config
from unravel.files import atomic, run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, help="the config as JSON text")
    parser.add_argument("--output", required=True, help="YAML file to write")
    arguments = parser.parse_args()
    settings = config.parse(json.loads(arguments.config))
    with atomic(arguments.output) as partial:
        partial.write_text(config.to_yaml(settings), encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
