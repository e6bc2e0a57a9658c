"""Write report/provenance.schema.json, the JSON schema of provenance.json, from the code that writes that file."""

from pathlib import Path

from unravel.evidence import provenance
from unravel.files import atomic, run_command_line


def main() -> None:
    with atomic(Path(__file__).resolve().parents[1] / "report" / "provenance.schema.json") as partial:
        partial.write_text(provenance.schema(), encoding="utf-8")


if __name__ == "__main__":
    run_command_line(main)
