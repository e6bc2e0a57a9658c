"""Compare two runs on one offline page: config differences, test errors, verdicts and figures side by side."""

import argparse
from pathlib import Path

from unravel.article import comparison
from unravel.files import InputError, atomic, run_command_line
from unravel.place import REPOSITORY
from unravel.run import require_made, require_name


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("one", type=Path, help="folder of a run, such as results/demo")
    parser.add_argument("other", type=Path, help="folder of the run to compare it with")
    parser.add_argument("--into", type=Path, required=True, help="folder to write <one>-vs-<other>.html into")
    arguments = parser.parse_args()
    for name, folder in (("A", arguments.one), ("B", arguments.other)):
        if not folder.name:
            raise InputError(
                f"{name} says which run to compare; give two, as in `make diff A=results/demo B=results/other`"
            )
        require_name(folder.name)
        require_made(folder)
    page = comparison.write(arguments.one, arguments.other, REPOSITORY / "report")
    output = arguments.into / f"{arguments.one.name}-vs-{arguments.other.name}.html"
    with atomic(output) as partial:
        partial.write_text(page, encoding="utf-8")
    print(f"The comparison: {output}")


if __name__ == "__main__":
    run_command_line(main)
