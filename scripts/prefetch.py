"""Download what a run needs from the network, where there is one; every later step then works without."""

import argparse
from pathlib import Path

from unravel.config import Download, Pretrained
from unravel.data import downloads
from unravel.files import run_command_line
from unravel.networks import named
from unravel.run import read_config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="resolved config of the run")
    settings = read_config(parser.parse_args().config)
    if isinstance(settings.dataset, Download):
        for path in downloads.fetch_all(settings.dataset):
            print(f"{path}: there, with the right MD5")
    else:
        print(f"images: nothing to download, dataset.source is {settings.dataset.source}")
    for network in settings.networks.values():
        if isinstance(network, Pretrained):
            named.find(network.name).pretrained()
            print(f"{network.name}: its weights are there")


if __name__ == "__main__":
    run_command_line(main)
