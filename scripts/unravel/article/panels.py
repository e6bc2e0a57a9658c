"""What a figure's provenance panel shows, from job records: ancestors, the config that decided it, its script."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from unravel.article import graphs
from unravel.config import Settings, flat
from unravel.evidence import lineage
from unravel.evidence.lineage import Records
from unravel.files import read_text, sha256
from unravel.place import REPOSITORY
from unravel.run import WHOLE, Config
from unravel.studies import MEASURED

MADE_HERE = {"checkpoints": "trained here", "measurements": "measured here", "data": "prepared here"}
SOURCES = {"digits": "bundled data", "folder": "your data", "arrays": "your data"}  # what else there is, is downloaded


def panel(job: str, settings: Config, records: Records) -> dict[str, Any]:
    """All that the panel of a figure's job shows beyond its record.

    `tree` is that of `ancestors`, `graph` the same drawn, with the job itself, `jobs` and `seconds` count those in it,
    `settings` and `script` are as below.
    """
    tree = ancestors([job], records)
    before = all_jobs(tree)
    return {
        "tree": tree,
        "graph": graphs.graph([job, *before], records, graphs.by_part),
        "jobs": len(before) + 1,
        "seconds": sum(records[name]["seconds"] for name in [job, *before]),
        "settings": deciding_settings(settings, before),
        "script": script_of(records[job]),
    }


def origin(file: Mapping[str, Any], source: str) -> str:
    """Where a file of a trace comes from, in two words. `source` is the dataset's, as the config names it."""
    if file["maker"]:
        kind = str(file["maker"]).partition("/")[0]
        return f"{MADE_HERE.get(kind, 'made here')}{', ' + SOURCES.get(source, 'downloaded') if kind == 'data' else ''}"
    suffix = Path(file["path"]).suffix
    return {".py": "code", ".safetensors": "downloaded"}.get(suffix, SOURCES.get(source, "downloaded"))


def ancestors(jobs: Iterable[str], records: Records) -> list[dict[str, Any]]:
    """The jobs that made the inputs of these jobs, those that differ only by their seed as one, and theirs in turn.

    Each is {"name", "jobs": names of its records, "ancestors"}: a tree whose leaves read nothing that a job made.
    """
    makers = lineage.makers(records)
    groups: dict[str, dict[str, None]] = {}
    for path in (path for job in jobs for path in records[job]["inputs"] if path in makers):
        groups.setdefault(lineage.without_seed(makers[path]), {})[makers[path]] = None
    return [
        {"name": name, "jobs": list(members), "ancestors": ancestors(members, records)}
        for name, members in groups.items()
    ]


def all_jobs(tree: Iterable[Mapping[str, Any]]) -> list[str]:
    """The names of all jobs in a tree of ancestors, each once."""
    return list(dict.fromkeys(job for group in tree for job in [*group["jobs"], *all_jobs(group["ancestors"])]))


def deciding_settings(settings: Config, jobs: Iterable[str]) -> list[dict[str, Any]]:
    """The config's keys that decided what these jobs made, flat: those that differ from their default first.

    Each is {"key", "value", "changed"}; a key without a default counts as changed.
    """
    sections = {"scale"}.union(*(_sections(job, settings) for job in jobs))
    every = flat(settings.model_dump(mode="json"))
    changed = flat(settings.model_dump(mode="json", exclude_defaults=True))
    rows = [
        {"key": key, "value": value, "changed": key in changed}
        for key, value in every.items()
        if any(key == section or key.startswith(f"{section}.") for section in sections)
    ]
    return sorted(rows, key=lambda row: not row["changed"])


def default_settings() -> dict[str, Any]:
    """The defaults of training and measurements, flat: the paper's recipe."""
    fields = {name: field.default for name, field in WHOLE.model_fields.items() if name != "execution"}
    held = flat({name: value.model_dump(mode="json") for name, value in fields.items() if isinstance(value, Settings)})
    return {key: "not set" if value is None else value for key, value in held.items()}


def _sections(job: str, settings: Config) -> set[str]:
    """The sections of the config that decide what a job makes, from the name of its record."""
    kind, _, rest = job.partition("/")
    name, _, last = rest.partition("/")
    if kind == "data":
        return {"dataset"}
    if kind == "checkpoints":
        return {f"networks.{name}", "training", "seeds"}
    study = MEASURED.get(name)
    if study is None or study.measurement is None:
        return set()
    network = lineage.without_seed(last)
    if not study.measurement.trained:
        return {f"networks.{network}"}
    return set(study.measurement.decides(settings, network))


def script_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """The file that a figure's job was told to draw with: its path, its hash then, and its source if it is still that.

    `source` is None where the file has changed since or is gone: what would be shown is not what drew the figure.
    """
    path = lineage.ending(record["inputs"], ".py")
    recorded = record["inputs"][path]["sha256"]
    file = REPOSITORY / path
    unchanged = file.is_file() and sha256(file) == recorded
    return {"path": path, "sha256": recorded, "source": read_text(file) if unchanged else None}
