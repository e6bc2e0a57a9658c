"""Freshness: whether a run's figures, claims and checkpoints are what the present config, code and files would give.

Everything is decided from job records and hashes; nothing is run. A job depends on its input files, on the part of the
config in its settings, on every file of scripts/ that its process had imported and that may decide a result
(`code.modules` in its record, whole files: a changed comment counts), and on the locked versions of the packages named
in its record. A result is stale if one of these changed for its job or for any job that it rests on.

What a sealed run rests on is given, as raw data is: its figures and claims depend on these files, and on no job before.
"""

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from unravel.config import flat
from unravel.evidence import lineage
from unravel.evidence.lineage import Record, Records
from unravel.evidence.records import UNDECIDING
from unravel.files import read_text, sha256
from unravel.place import REPOSITORY, is_code, snakemake
from unravel.run import Config
from unravel.studies import FIGURES, MEASURED

State = Literal["fresh", "sealed", "stale", "missing", "unknown source"]


@dataclass(frozen=True)
class Maker:
    """What makes a result, with the present config.

    rule: "" for a figure, each of which has its own. network: that the job is about, "" if none. part: what its
    record's settings would be now; None where the config has no such network any more. keys: where the config holds
    them.
    """

    rule: str
    network: str = ""
    part: Mapping[str, Any] | None = field(default_factory=dict)
    keys: str = ""


def maker(name: str, config: Config) -> Maker | None:
    """What makes the result of this name, such as checkpoints/resnet/seed1; None if nothing in this code does."""
    kind, _, rest = name.partition("/")
    key, _, about = rest.partition("/")
    if kind == "data":
        return Maker("prepare_data", part=config.dataset_part(), keys="dataset.")
    if kind == "checkpoints":
        rule = "train" if key in config.trained else "fetch_weights"
        return Maker(rule, key, config.training_part(key) if key in config.networks else None)
    if kind == "figures":
        return Maker("", part={"scale": config.scale})
    if name == "claims":
        return Maker("claims", part=config.claims_part())
    if kind != "measurements" or key not in MEASURED:
        return None
    study, network = MEASURED[key], lineage.without_seed(about)
    assert study.measurement is not None
    trained, known = study.measurement.trained, network in study.measurement.networks(config)
    part = study.measurement.decides(config, network) if known or network in config.networks else None
    return Maker(f"measure_{study.name}", network, part, "" if trained else f"networks.{network}.")


def shown(config: Config) -> dict[str, Sequence[str]]:
    """The results that the config wants, figures and claims, each with the networks in it."""
    figures = {f"figures/{slug}": figure.shows(config) for slug, (_, figure) in FIGURES.items()}
    wanted = {name: networks for name, networks in figures.items() if networks is not None}
    return {**wanted, "claims": list(config.networks)}


@dataclass(frozen=True)
class Reason:
    """Why a job's result is not fresh. `redo` is what Snakemake has to be told to make again, if it does not see it."""

    state: State
    text: str
    redo: str | None = None


@dataclass(frozen=True)
class Freshness:
    """The state of one result, why, and the command that mends it ("" where nothing is to be mended).

    `redo` is the part of that command which names what Snakemake would not make again by itself.
    """

    name: str
    state: State
    reasons: tuple[str, ...] = ()
    command: str = ""
    redo: tuple[str, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing is to be mended."""
        return self.state in ("fresh", "sealed")


@dataclass
class Checkout:
    """The present: the config and where it stands, hashes of files (each is read once), and the locked versions.

    sealed: the jobs whose results are sealed, by name; that these are intact is checked where the seal is read.
    """

    config: Config
    config_path: str
    sealed: Collection[str] = ()
    repository: Path = field(default_factory=lambda: REPOSITORY)
    _hashes: dict[Path, str | None] = field(default_factory=dict)

    def hash(self, path: Path) -> str | None:
        """SHA-256 of a file as it is now; None if it is not there."""
        if path not in self._hashes:
            file = self.repository / path if is_code(path) else path
            self._hashes[path] = sha256(file) if file.is_file() else None
        return self._hashes[path]

    @cached_property
    def locked(self) -> dict[str, str]:
        """Version of each package in the lock file."""
        lock = self.repository / "requirements.lock"
        return dict(re.findall(r"^([a-z0-9-]+)==([^ ;\\\n]+)", lock.read_text(encoding="utf-8"), re.MULTILINE))


def assess(run: Path, records: Records, checkout: Checkout) -> list[Freshness]:
    """The state of every figure, the claims and every checkpoint: those of the present config and those on record."""
    config = checkout.config
    wanted = [*shown(config), *(f"checkpoints/{name}/seed{seed}" for name in config.networks for seed in config.seeds)]
    kept = [name for name in records if name.startswith(("figures/", "checkpoints/"))]
    return [_result(run, name, records, checkout) for name in dict.fromkeys([*wanted, *kept])]


def digest(records: Records) -> str:
    """SHA-256 over what all jobs made: the report carries it, so that one can see from which results it was written."""
    made = {path: made["sha256"] for record in records.values() for path, made in record["outputs"].items()}
    return hashlib.sha256(json.dumps(made, sort_keys=True).encode()).hexdigest()


@dataclass(frozen=True)
class Summary:
    """What the report says of its own freshness: the state of each result by name, and the digest of all of them."""

    results: dict[str, Freshness]
    digest: str

    @property
    def figures(self) -> list[Freshness]:
        """The figures' part."""
        return [result for name, result in self.results.items() if name.startswith("figures/")]


def summary(run: Path, records: Records, checkout: Checkout) -> Summary:
    """The state of a run's results, and their digest."""
    return Summary({result.name: result for result in assess(run, records, checkout)}, digest(records))


def drift(records: Records, checkout: Checkout) -> list[str]:
    """What is no longer as it was when the sealed results were made: code that decides them, and locked versions."""
    sealed = {name: records[name] for name in sorted(checkout.sealed)}
    changes = [
        [*_changed_code(name, record, checkout), *_changed_packages(name, record, checkout)]
        for name, record in sealed.items()
    ]
    return sorted({change.text for job in changes for change in job})


def report(run: Path, records: Records, results: Iterable[Freshness], checkout: Checkout) -> Freshness:
    """The state of the report: it shows the results on record, and none of these is to be made again."""
    page = run / "report.html"
    command = snakemake("--cores", "all", "--configfile", checkout.config_path)
    if not page.exists():
        return Freshness("report", "missing", (f"{page}: is missing",), command)
    unfresh = [result for result in results if not result.settled]
    if unfresh:
        redo = tuple(sorted({name for result in unfresh for name in result.redo}))
        reason = f"{len(unfresh)} of the results that it shows are not fresh"
        return Freshness("report", "stale", (reason,), command + _forced(redo), redo)
    if digest(records) not in read_text(page, "write it again"):
        reason = f"{page}: was written from other results than those on record"
        return Freshness("report", "stale", (reason,), f"{command} --forcerun report")
    return Freshness("report", "fresh")


def _result(run: Path, name: str, records: Records, checkout: Checkout) -> Freshness:
    if name in checkout.sealed:
        return Freshness(name, "sealed")
    target = _target(run, name)
    command = snakemake(str(target), "--cores", "all", "--configfile", checkout.config_path)
    if name not in records:
        if not target.exists():
            return Freshness(name, "missing", (f"{target}: is missing",), command)
        return Freshness(name, "unknown source", (f"{target}: has no job record",), f"{command} --force")
    reasons = [
        *_changed_outputs(records[name]["outputs"], checkout),
        *_reasons(name, _made_here(records, checkout), checkout),
        *_of_sources(run, records[name], records, checkout),
        *_not_asked_for(name, records, checkout),
    ]
    if not reasons:
        return Freshness(name, "fresh")
    redo = tuple(sorted({reason.redo or str(target) for reason in reasons if reason.redo is not None}))
    texts = tuple(dict.fromkeys(reason.text for reason in reasons))
    return Freshness(name, _worst(reasons), texts, command + _forced(redo), redo)


def verdicts(
    run: Path, records: Records, checkout: Checkout, rests_on: Mapping[str, Sequence[str]]
) -> dict[str, State]:
    """The state of each verdict's evidence, by the claim's name: of the tables of the studies that it rests on.

    rests_on: the keys of these studies, by the claim. Where no record says how the verdicts were made, all are of an
    unknown source.
    """
    if "claims" not in records:
        return dict.fromkeys(rests_on, "unknown source")
    inputs = records["claims"]["inputs"]
    found: dict[str, State] = {}
    for claim, keys in rests_on.items():
        folders = [run / "measurements" / key for key in keys]
        tables = {path: used for path, used in inputs.items() if any(Path(path).is_relative_to(it) for it in folders)}
        found[claim] = _worst(_of_sources(run, {"inputs": tables}, records, checkout))
    return found


def _worst(reasons: Iterable[Reason]) -> State:
    states: set[State] = {reason.state for reason in reasons}
    worst: tuple[State, ...] = ("missing", "stale", "unknown source")
    return next((state for state in worst if state in states), "fresh")


def _made_here(records: Records, checkout: Checkout) -> Records:
    """The jobs that are no longer to be taken as given."""
    return {job: record for job, record in records.items() if job not in checkout.sealed}


def _of_sources(run: Path, record: Record, records: Records, checkout: Checkout) -> list[Reason]:
    """Why what a job rests on is not what it was, or is not known."""
    made_here = _made_here(records, checkout)
    reasons = []
    for file in lineage.trace(record, made_here):
        if file["maker"] is None:
            reasons += _given(run, file, records, checkout)
        else:  # of a job's outputs, only this one counts here
            reasons += [_of_source(reason) for reason in _changed_outputs({file["path"]: file}, checkout)]
            reasons += _reasons(file["maker"], made_here, checkout)
    return reasons


def _forced(redo: tuple[str, ...]) -> str:
    return f" --forcerun {shlex.join(redo)}" if redo else ""


def _target(run: Path, name: str) -> Path:
    if name.startswith("figures/"):
        return run / f"{name}.svg"
    return run / (f"{name}.json" if name == "claims" else f"{name}.safetensors")


def _of_source(reason: Reason) -> Reason:
    """A reason as a result that rests on that job tells it: what lacks a source is not missing itself."""
    return replace(reason, state="stale") if reason.state == "missing" else reason


def _reasons(name: str, records: Records, checkout: Checkout) -> list[Reason]:
    """Why this job, apart from those before it, would make something else now."""
    record = records[name]
    return [
        *_changed_inputs(record, records),
        *_changed_settings(name, record, checkout),
        *_changed_code(name, record, checkout),
        *_changed_packages(name, record, checkout),
    ]


def _changed_outputs(outputs: Mapping[str, Mapping[str, Any]], checkout: Checkout) -> list[Reason]:
    reasons = []
    for path, made in outputs.items():
        present = checkout.hash(Path(path))
        if present is None:
            reasons.append(Reason("missing", f"{path}: is missing"))
        elif present != made["sha256"]:
            reasons.append(Reason("stale", f"{path}: is not the file that its job made (SHA-256 differs)", path))
    return reasons


def _changed_inputs(record: Record, records: Records) -> list[Reason]:
    """Inputs that another job has made anew since."""
    made_by = lineage.makers(records)
    return [
        Reason("stale", f"{path}: was made again since")
        for path, used in record["inputs"].items()
        if path in made_by and records[made_by[path]]["outputs"][path]["sha256"] != used["sha256"]
    ]


def _given(run: Path, file: Mapping[str, Any], records: Records, checkout: Checkout) -> list[Reason]:
    """Inputs that no job made: code, criteria, raw data, what is sealed, and results that somebody put there."""
    path = Path(file["path"])
    present = checkout.hash(path)
    if present is None:
        return [Reason("stale", f"{path}: is missing")]
    if present != file["sha256"]:
        return [Reason("stale", f"{path} changed since")]
    if path.is_relative_to(run) and str(path) not in lineage.makers(records):
        return [Reason("unknown source", f"{path}: has no job record")]
    return []


def _changed_settings(name: str, record: Record, checkout: Checkout) -> list[Reason]:
    made = maker(name, checkout.config)
    if made is None:
        script = lineage.script(record)
        return [
            Reason("unknown source", f"{name}: made by scripts/{script}.py, whose settings this code does not know")
        ]
    if made.part is None:
        return [Reason("stale", f"{checkout.config_path}: networks.{made.network} is no longer there")]
    settings = record["settings"]
    if made.rule == "measure_path_gradients" and "gradients" not in settings:
        settings = {"gradients": settings}  # as records of commit 5ae15d8 and before have them
    return [Reason("stale", f"{checkout.config_path}: {change}") for change in differences(settings, made)]


def differences(settings: Mapping[str, Any], made: Maker) -> list[str]:
    """The keys that decided a result, by `settings`, and would decide it otherwise now, each with both values."""
    was, now = (flat(json.loads(json.dumps(part))) for part in (settings, made.part))
    return [
        f"{_key(key, made)} was {_plain(was, key)}, is {_plain(now, key)}"
        for key in dict.fromkeys([*was, *now])
        if key not in was or key not in now or was[key] != now[key]
    ]


def _key(key: str, made: Maker) -> str:
    return re.sub(r"^network\.", f"networks.{made.network}.", made.keys + key)


def _plain(settings: Mapping[str, Any], key: str) -> str:
    return json.dumps(settings[key]) if key in settings else "not set"


def _changed_code(name: str, record: Record, checkout: Checkout) -> list[Reason]:
    modules = record["code"].get("modules")
    if modules is None:
        text = f"the records of scripts/{lineage.script(record)}.py do not say which code made them"
        return [Reason("unknown source", text, _rule(name, checkout))]
    present = {path: checkout.hash(checkout.repository / path) for path in modules if not path.startswith(UNDECIDING)}
    return [
        Reason("stale", f"{path} {'changed since' if now else 'is no longer there'}", _rule(name, checkout))
        for path, now in present.items()
        if now != modules[path]
    ]


def _rule(name: str, checkout: Checkout) -> str:
    """The rule whose jobs are all to be done again; "" for figures, each of which has its own."""
    made = maker(name, checkout.config)
    return made.rule if made else ""


def _changed_packages(name: str, record: Record, checkout: Checkout) -> list[Reason]:
    """Packages whose locked version is another than the job's; a lock that differs elsewhere changes no result."""
    if record["environment"]["lock_sha256"] == checkout.hash(checkout.repository / "requirements.lock"):
        return []
    locked = checkout.locked
    return [
        Reason("stale", f"requirements.lock: {package} was {was}, is {locked[package]}", _rule(name, checkout))
        for package, was in record["environment"]["versions"].items()
        if package in locked and locked[package] != was.partition("+")[0]
    ]


def _not_asked_for(name: str, records: Records, checkout: Checkout) -> list[Reason]:
    """Networks and seeds that the present config asks for in a figure or the claims, and those that it does not."""
    config, path = checkout.config, checkout.config_path
    if not name.startswith("figures/") and name != "claims":
        return []
    made_by, reasons = lineage.makers(records), []
    brought = [path for path in records[name]["inputs"] if "/measurements/" in path and path not in made_by]
    inputs = {made_by[input] for input in records[name]["inputs"] if input in made_by}
    present = {made.network for made in (maker(job, config) for job in inputs) if made and made.network}
    wanted = set(shown(config).get(name, ()))
    if present != wanted and wanted and not brought:  # no record tells of which network a brought table is
        reasons.append(Reason("stale", f"{path}: networks shown were {_list(present)}, are {_list(wanted)}"))
    jobs = {file["maker"] for file in lineage.trace(records[name], records)} - {None}
    seeds = {records[job]["seed"] for job in jobs} - {None}
    if seeds and seeds != (wanted_seeds := _seeds(name, config)):
        reasons.append(Reason("stale", f"{path}: seeds was {sorted(seeds)}, is {sorted(wanted_seeds)}"))
    return reasons


def _seeds(name: str, config: Config) -> set[int]:
    """The seeds that a figure, or the claims, show: those of the tables it is drawn from, or all."""
    _, figure = FIGURES.get(name.removeprefix("figures/"), (None, None))
    measurements = [MEASURED[key].measurement for key in figure.inputs if key in MEASURED] if figure else []
    seeds = {seed for measurement in measurements if measurement for seed in measurement.seeds(config)}
    return seeds or set(config.seeds)


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
