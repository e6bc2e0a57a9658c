"""Progress of a run: jobs done of all, what runs, and the time left, by what jobs are estimated to cost.

The estimate is corrected by what is seen: jobs of a kind (training, lesions, gradients) take so many times their
estimate as those that are done took, and as many run side by side as did so far.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import fmean

from unravel.cluster import cost
from unravel.run import Config

Name = tuple[str, str, int]  # of a job that is estimated: rule, network, seed


@dataclass(frozen=True)
class Estimate:
    """Seconds that a job is estimated to take, and the kind of work, of which all estimates are wrong alike."""

    kind: str
    seconds: float


SHORT = Estimate("short", 10.0)  # a job that nothing is estimated for, such as a figure, until one is done


@dataclass(frozen=True)
class Started:
    """A job that has begun: what it does, in words, when it began, and its name if it is one that is estimated."""

    rule: str
    words: str
    at: float
    name: Name | None


def estimates(config: Config) -> dict[Name, Estimate]:
    """What each job of a run that computes with a network is estimated to take; it imports torch.

    Raises InputError where nothing can be estimated: images that are not prepared yet, or networks of others.
    """
    costs = cost.Costs(config)
    return {(job.rule, job.network, job.seed): Estimate(job.kind, costs.seconds(job)) for job in cost.jobs(config)}


@dataclass
class Progress:
    """The state of a run, told of each job that begins or ends, with the time in seconds of any clock.

    counts: how many jobs of each rule are to be done. estimates: as above; empty where none is known yet.
    """

    counts: Mapping[str, int]
    estimates: dict[Name, Estimate] = field(default_factory=dict)
    done: int = 0
    running: dict[int, Started] = field(default_factory=dict)
    _begun: dict[str, int] = field(default_factory=dict)  # jobs by rule
    _names: set[Name] = field(default_factory=set)  # of all that have begun
    _took: dict[str, list[tuple[float, float]]] = field(default_factory=dict)  # by kind: seconds estimated, and taken
    _first: float | None = None
    _busy: float = 0.0  # seconds of all jobs that are done

    @property
    def total(self) -> int:
        """How many jobs there are."""
        return sum(self.counts.values())

    def start(self, number: int, rule: str, words: str, name: Name | None, at: float) -> None:
        """A job begins, under a number of its own."""
        self.running[number] = Started(rule, words, at, name)
        self._begun[rule] = self._begun.get(rule, 0) + 1
        self._names |= {name} if name else set()
        self._first = at if self._first is None else self._first

    def finish(self, number: int, at: float) -> tuple[Started, float]:
        """A job has ended well: what it was, and how many seconds it took. Raises KeyError if it never began."""
        job = self.running.pop(number)
        seconds = at - job.at
        self.done += 1
        self._busy += seconds
        estimate = self._estimate(job)
        self._took.setdefault(estimate.kind, []).append((estimate.seconds, seconds))
        return job, seconds

    def fail(self, number: int) -> None:
        """A job has failed; it may begin again."""
        if job := self.running.pop(number, None):
            self._begun[job.rule] -= 1

    def left(self, at: float) -> float | None:
        """Seconds until all is done, as far as that can be said: None while no job is estimated, or none has begun."""
        if not self.estimates or self._first is None:
            return None
        works = [
            *self._waiting(),
            *(max(0.0, self._expected(self._estimate(job)) - (at - job.at)) for job in self.running.values()),
        ]
        busy = self._busy + sum(at - job.at for job in self.running.values())
        side_by_side = max(1.0, busy / (at - self._first)) if at > self._first else max(1, len(self.running))
        return max([math.fsum(works) / side_by_side, *works])

    def _waiting(self) -> list[float]:
        """Seconds of each job that has not begun; of rules that are done in part, whichever jobs these are."""
        found: list[float] = []
        for rule, count in self.counts.items():
            waiting = count - self._begun.get(rule, 0)
            known = [it for name, it in self.estimates.items() if name[0] == rule and name not in self._names]
            each = fmean(map(self._expected, known)) if known else self._expected(SHORT)
            found += [each] * waiting
        return found

    def _estimate(self, job: Started) -> Estimate:
        return self.estimates.get(job.name, SHORT) if job.name else SHORT

    def _expected(self, estimate: Estimate) -> float:
        """Seconds of a job, by its estimate and by what jobs of its kind took; of other kinds, while there is none."""
        kind, seconds = estimate.kind, estimate.seconds
        others = [pair for name, pairs in self._took.items() if name != SHORT.kind for pair in pairs]
        took = self._took.get(kind) or ([] if kind == SHORT.kind else others)
        return seconds * sum(taken for _, taken in took) / sum(was for was, _ in took) if took else seconds


def said(seconds: float) -> str:
    """A time as an estimate says it."""
    if seconds < 60:
        return "less than a minute"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def line(progress: Progress, at: float) -> str:
    """Where a run stands, on one line."""
    left = progress.left(at)
    parts = [f"{progress.done} of {progress.total} jobs done"]
    if left is not None and progress.done < progress.total:
        parts.append(f"{'about ' if left >= 60 else ''}{said(left)} left")
    if progress.running:
        first, *others = (job.words for job in progress.running.values())
        parts.append(f"running: {first}" + (f" and {len(others)} more" if others else ""))
    return ", ".join(parts)
