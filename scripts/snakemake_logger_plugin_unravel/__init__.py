"""What `snakemake --logger unravel` shows: one line, kept up to date, or in a log a line for each job that is done.

Snakemake finds this by the folder's name wherever scripts/ is on PYTHONPATH, as the Makefile puts it. Errors are shown
as Snakemake shows them, with the log of the job; its own log in .snakemake/log still holds everything.
"""

import logging
import re
import shlex
import shutil
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from unravel.cluster.progress import Name, Progress, estimates, line, said
from unravel.files import InputError
from unravel.run import read_config

REFRESH_SECONDS = 2.0  # of the line on a terminal
# What says nothing of this run that the line does not say; whatever else there is to say is shown.
USUAL = re.compile(
    r"Building DAG|Using shell|Provided |Rules claiming|Conda environments: ignored|Singularity containers: ignored|"
    r"Group jobs: inactive|Assuming unrestricted|Using (workflow specific )?profile|Select jobs|Execute \d|"
    r"host: |Job stats|Elapsed time"
)
CLEAR = "\r\x1b[K"


class LogHandler(LogHandlerBase):
    """Snakemake calls `emit` in a thread of its own, with one record after the other."""

    def __post_init__(self) -> None:
        self.stream = sys.stdout if self.common_settings.stdout else sys.stderr
        self.terminal = self.stream.isatty() and not self.common_settings.dryrun
        self.progress: Progress | None = None
        self.began = time.time()
        self.estimated = False
        self.ended = threading.Event()
        self.writing = threading.Lock()
        if self.terminal:
            threading.Thread(target=self._refresh, daemon=True).start()

    writes_to_stream = True
    writes_to_file = False
    has_filter = False
    has_formatter = False
    needs_rulegraph = False

    def emit(self, record: logging.LogRecord) -> None:
        """Take one of Snakemake's records."""
        try:
            self._take(record)
        except Exception:
            self.handleError(record)

    def _take(self, record: logging.LogRecord) -> None:
        event, said_by_snakemake = getattr(record, "event", None), vars(record)
        if self.common_settings.dryrun or record.levelno >= logging.WARNING:
            if event == LogEvent.JOB_ERROR and self.progress:
                self.progress.fail(said_by_snakemake["jobid"])
            self._say(self.format(record))
        elif event == LogEvent.RUN_INFO:
            self.progress = Progress({rule: n for rule, n in said_by_snakemake["stats"].items() if rule != "total"})
            self._say(f"{self.progress.total} jobs to do")
        elif event == LogEvent.JOB_INFO and self.progress:
            self._start(said_by_snakemake, record.created)
        elif event == LogEvent.JOB_FINISHED and self.progress:
            self._finish(said_by_snakemake["job_id"], record.created)
        elif event is None and not USUAL.match(record.getMessage()):
            self._say(self.format(record))

    def _start(self, job: Mapping[str, Any], at: float) -> None:
        """A job began then; this may hear of it later, as it estimates the run in between."""
        assert self.progress
        self._estimate(job["shellcmd"] or "")
        words = job["rule_msg"] or job["rule_name"]
        self.progress.start(job["jobid"], job["rule_name"], words, name_of(job), at)
        self._show()

    def _finish(self, number: int, at: float) -> None:
        assert self.progress
        with suppress(KeyError):  # it began before this was told of it
            job, seconds = self.progress.finish(number, at)
            if not self.terminal:
                left = line(self.progress, at)
                self._say(f"{left} | done in {seconds:.0f} s: {job.words}")
        self._show()

    def _estimate(self, command: str) -> None:
        """Estimate the run's jobs, by the config that a job reads, as soon as that can be done."""
        words = shlex.split(command) if "--config " in command else []
        if self.estimated or not words:
            return
        assert self.progress
        with suppress(
            InputError, ImportError
        ):  # images not prepared yet, networks of others, no torch beside Snakemake
            self.progress.estimates = estimates(read_config(Path(words[words.index("--config") + 1])))
            self.estimated = True

    def _show(self) -> None:
        """Write the line anew, on a terminal."""
        if self.terminal and self.progress:
            width = shutil.get_terminal_size().columns - 1
            with self.writing:
                self.stream.write(CLEAR + line(self.progress, time.time())[:width])
                self.stream.flush()

    def _refresh(self) -> None:
        while not self.ended.wait(REFRESH_SECONDS):
            with suppress(RuntimeError, ValueError):  # a job ended meanwhile; the stream is closed
                self._show()

    def _say(self, text: str) -> None:
        """Write lines that stay."""
        if not text:
            return
        with self.writing:
            self.stream.write(f"{CLEAR if self.terminal else ''}{text}\n")
            self.stream.flush()
        self._show()

    def close(self) -> None:
        """Say how far the run came."""
        if not self.ended.is_set():
            self.ended.set()
            if self.progress and not self.common_settings.dryrun:
                took = said(time.time() - self.began)
                done, self.progress = f"{self.progress.done} of {self.progress.total} jobs done", None
                self._say(f"{done} in {took}")
        super().close()


def name_of(job: Mapping[str, Any]) -> Name | None:
    """The name by which a job is estimated, from what Snakemake says of it; None if it is of no network and seed."""
    wildcards = job["wildcards"] or {}
    if not {"network", "seed"} <= set(wildcards):
        return None
    return job["rule_name"], wildcards["network"], int(wildcards["seed"])
