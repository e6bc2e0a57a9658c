"""Where a training step spends its time."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile, schedule

from unravel.files import atomic

SETTLE, PROFILED = 10, 20  # steps: kernels are chosen and memory is reserved in the first few
COSTLIEST = 10


@contextmanager
def profiled(folder: Path | None) -> Iterator[Callable[[], None]]:
    """Profile a few training steps into `folder`, if there is one; yields what to call before each step.

    Writes trace.json, for a trace viewer, and kernels.txt, the ten costliest kernels, once those steps are done.
    """
    if folder is None:
        yield lambda: None
        return
    on_gpu = torch.cuda.is_available()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]

    def write(profiler: profile) -> None:
        with atomic(folder / "trace.json") as partial:
            profiler.export_chrome_trace(str(partial))
        order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
        table = profiler.key_averages().table(sort_by=order, row_limit=COSTLIEST, max_name_column_width=60)
        with atomic(folder / "kernels.txt") as partial:
            partial.write_text(f"{PROFILED} training steps\n{table}", encoding="utf-8")

    steps = schedule(wait=SETTLE - 1, warmup=1, active=PROFILED, repeat=1)
    with profile(activities=activities, schedule=steps, on_trace_ready=write, acc_events=True) as profiler:
        yield profiler.step
