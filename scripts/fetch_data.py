"""Download what a run needs from the network, where there is one; every later step then works without."""

import argparse
from pathlib import Path

from unravel import config
from unravel.config import Download
from unravel.data import downloads
from unravel.files import run_command_line


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    dataset = config.read(parser.parse_args().config).dataset
    if not isinstance(dataset, Download):
        print(f"nothing to download: dataset.source is {dataset.source}")
        return
    for path in downloads.fetch_all(dataset):
        print(f"{path}: there, with the right MD5")


if __name__ == "__main__":
    run_command_line(main)
