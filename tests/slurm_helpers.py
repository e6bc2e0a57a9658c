"""A real SLURM on this machine: one controller and six nodes with stand-in GPUs, on loopback, as Debian packages them.

It needs root, and /etc/slurm/slurm.conf, since jobs find their cluster there: so there is one per machine, which all
test processes share. Nodes n1 and n2 are steady, jobs on n3 and n4 can be preempted, and n5 and n6 may be killed.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

from filelock import FileLock

BASE = Path(tempfile.gettempdir()) / "unravel-slurm"
ETC = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
NODES = [f"n{number}" for number in range(1, 7)]
MUNGED = Path("/run/munge/munged.pid")
CONFIG = f"""\
ClusterName=unravel
SlurmctldHost=localhost(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=cred_expire=5  # a requeued job waits this long; 120 s if not said
CryptoType=crypto/munge
SlurmctldPort=16817
SlurmctldPidFile={BASE}/run/slurmctld.pid
SlurmdPidFile={BASE}/run/slurmd.%n.pid
StateSaveLocation={BASE}/state
SlurmdSpoolDir={BASE}/spool/%n
SlurmctldLogFile={BASE}/log/slurmctld.log
SlurmdLogFile={BASE}/log/slurmd.%n.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0,sched_min_interval=0
MpiDefault=none
MailProg=/bin/true
SwitchType=switch/none
ReturnToService=2
PropagateResourceLimits=NONE
SlurmdParameters=config_overrides  # a node may claim more CPUs and memory than there are
KillWait=10
InactiveLimit=0
MinJobAge=3600
SlurmctldTimeout=30
SlurmdTimeout=20
CompleteWait=0
JobRequeue=1
GresTypes=gpu
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
NodeName=n[1-6] NodeHostname=localhost NodeAddr=127.0.0.1 Port=17001-17006 CPUs=8 Boards=1 SocketsPerBoard=1 \
CoresPerSocket=8 ThreadsPerCore=1 RealMemory=64000 Gres=gpu:2 State=UNKNOWN
PartitionName=cpu   Nodes=n[1-2] Default=YES MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=gpu   Nodes=n[1-2] MaxTime=INFINITE State=UP PreemptMode=OFF
PartitionName=low   Nodes=n[3-4] MaxTime=INFINITE State=UP PriorityTier=1 PreemptMode=REQUEUE GraceTime=20
PartitionName=high  Nodes=n[3-4] MaxTime=INFINITE State=UP PriorityTier=10 PreemptMode=OFF
PartitionName=frail Nodes=n[5-6] MaxTime=INFINITE State=UP PreemptMode=OFF
"""
GPUS = "AutoDetect=off\n" + "".join(f"NodeName=n[1-6] Name=gpu File=/dev/{file}\n" for file in ("null", "zero"))


def why_not():
    """Why there can be no cluster here; "" if there can."""
    needed = ("slurmctld", "slurmd", "sbatch", "srun", "munged")
    missing = [name for name in needed if shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin") is None]
    if missing:
        return (
            f"{', '.join(missing)} not installed (Debian: slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge)"
        )
    if os.geteuid() != 0:
        return "the test cluster needs root"
    if (ETC / "slurm.conf").exists() and (ETC / "slurm.conf").resolve() != BASE / "slurm.conf":
        return f"{ETC}/slurm.conf is another cluster's"
    return ""


@contextlib.contextmanager
def cluster():
    """A running cluster: started by the first process that asks, stopped by the last that is done."""
    user = BASE.with_suffix(".users") / str(os.getpid())
    lock = FileLock(BASE.with_suffix(".lock"))
    with lock:
        user.parent.mkdir(exist_ok=True)
        if not others(user):
            stop()  # what a killed test run may have left
            start()
        user.touch()
    try:
        yield
    finally:
        with lock:
            user.unlink()
            if not others(user):
                stop()


def others(user):
    """Other processes that still use the cluster."""
    return [file for file in user.parent.iterdir() if file != user and Path(f"/proc/{file.name}").exists()]


def start():
    """Start all daemons, each of which goes to the background by itself, and wait until the nodes are idle."""
    for folder in ("state", "log", "run", *(f"spool/{node}" for node in NODES)):
        (BASE / folder).mkdir(parents=True)
    for name, content in zip(FILES, (CONFIG, GPUS, "CgroupAutomount=no\n"), strict=True):
        (BASE / name).write_text(content)
        (ETC / name).unlink(missing_ok=True)
        ETC.mkdir(exist_ok=True)
        (ETC / name).symlink_to(BASE / name)
    if alive(MUNGED) is None:
        run("install", "-d", "-o", "munge", "-g", "munge", "-m", "755", "/run/munge")
        run("runuser", "-u", "munge", "--", "/usr/sbin/munged", "--force")
        (BASE / "munged").touch()  # ours to stop
    run("/usr/sbin/slurmctld", "-c")
    for node in NODES:
        run("/usr/sbin/slurmd", "-N", node)
    wait(lambda: states() == dict.fromkeys(NODES, "idle"), 60, "idle nodes")


def states():
    """The state of each node."""
    return dict(line.split() for line in run("sinfo", "-h", "-N", "-o", "%N %T", check=False).splitlines())


def stop():
    """End the daemons and whatever jobs still run, and remove every trace."""
    for node in NODES:
        crash(node)
    end(BASE / "run/slurmctld.pid")
    if (BASE / "munged").exists():
        end(MUNGED)
    for name in FILES:
        if (ETC / name).is_symlink():
            (ETC / name).unlink()
    shutil.rmtree(BASE, ignore_errors=True)


def end(pid_file):
    """Tell a daemon to end and wait until it is gone."""
    pid = alive(pid_file)
    if pid is not None:
        os.kill(pid, signal.SIGTERM)
        wait(lambda: not running(pid), 30, f"the end of {pid_file.stem}")


def alive(pid_file):
    """The daemon that a pid file names, if it runs."""
    try:
        pid = int(pid_file.read_text())
    except (OSError, ValueError):
        return None
    return pid if running(pid) and _read(Path(f"/proc/{pid}/comm")).startswith(("slurm", "munged")) else None


def running(pid):
    """Whether a process has not ended; one that only waits to be reaped has."""
    return _read(Path(f"/proc/{pid}/stat")).rpartition(")")[2].split()[:1] not in ([], ["Z"])


def processes():
    """The numbers of all processes."""
    return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]


def crash(node):
    """Kill a node as a power cut does: its daemon, its job steps and everything that they started, at once."""
    log = BASE / f"log/slurmd.{node}.log"  # which daemon and steps hold open
    daemons = [pid for pid in processes() if log in _open_files(pid)]
    for pid in {process for daemon in daemons for process in (daemon, *descendants(daemon))}:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _open_files(pid):
    with contextlib.suppress(OSError):
        return [file.readlink() for file in Path(f"/proc/{pid}/fd").iterdir()]
    return []


def descendants(pid):
    """Children, grandchildren and so on of a process."""
    children = [int(child) for task in Path(f"/proc/{pid}/task").glob("*/children") for child in _read(task).split()]
    return [found for child in children for found in (child, *descendants(child))]


def _read(path):
    with contextlib.suppress(OSError):
        return path.read_bytes().decode(errors="replace")
    return ""


def run(*command, check=True):
    """What a command prints."""
    done = subprocess.run(command, text=True, capture_output=True)
    assert done.returncode == 0 or not check, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def wait(condition, seconds, what):
    """Wait until the condition holds; fail after so many seconds. Returns what the condition returned."""
    until = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < until, f"waited {seconds} s for {what}"
        time.sleep(0.2)
    return found
