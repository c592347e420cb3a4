"""What the benchmarks share: masters with the same definition in both languages, processes, and what the kernel tells of them.

Laws:
- Each process started here is ended here, by its pid, also after a failure; each wait has a limit.
"""

import contextlib
import datetime
import importlib.machinery
import importlib.util
import os
import platform
import random
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
BUILDBOT = "4.3.0"
READY = b"BuildMaster is running"

# Limits, in seconds.
INSTALL_LIMIT = 900
BUILD_LIMIT = 3600
STOP_LIMIT = 60

LUA = """\
local plugins = require "buildbot.plugins"
local worker, util, steps, schedulers = plugins.worker, plugins.util, plugins.steps, plugins.schedulers

local workers, names = {{}}, {{}}
for i = 1, {workers} do
  names[i] = string.format("w%05d", i)
  workers[i] = worker.Worker(names[i], "pw")
end

c.title = "bench"
c.workers = workers
c.protocols = {protocols}
c.builders = {{
  util.BuilderConfig {{
    name = "all", workernames = names, factory = util.BuildFactory {{ steps.ShellCommand {{ command = {{ "true" }} }} }},
  }},
}}
c.schedulers = {{
  schedulers.ForceScheduler {{ name = "force", builderNames = {{ "all" }} }},
}}
"""

PYTHON = """\
from buildbot.plugins import schedulers, steps, util, worker

names = ["w%05d" % i for i in range(1, {workers} + 1)]
c = BuildmasterConfig = {{}}
c["title"] = "bench"
c["buildbotURL"] = "http://127.0.0.1/"
c["buildbotNetUsageData"] = None
c["db"] = {{"db_url": "sqlite:///state.sqlite"}}
c["workers"] = [worker.Worker(name, "pw") for name in names]
c["protocols"] = {protocols}
c["builders"] = [
    util.BuilderConfig(
        name="all", workernames=names, factory=util.BuildFactory([steps.ShellCommand(command=["true"])])
    ),
]
c["schedulers"] = [
    schedulers.ForceScheduler(name="force", builderNames=["all"]),
]
"""


# What a fleet speaks: the protocol, and whether through TLS.
WIRES = {"PB": ("pb", False), "PB, TLS": ("pb", True), "msgpack": ("msgpack", False), "msgpack, TLS": ("msgpack", True)}


def protocols(language: str, wire: str, port: int, certificate: Path | None = None) -> str:
    """What a definition says of its port, in its language."""
    protocol, tls = WIRES[wire]
    key = {"pb": "pb", "msgpack": "msgpack_experimental_v7"}[protocol]
    if tls:
        value = f'"ssl:port={port}:privateKey={certificate / "key.pem"}:certKey={certificate / "cert.pem"}:interface=127.0.0.1"'
    elif protocol == "msgpack":
        # Buildbot takes nothing but a number here.
        value = str(port)
    else:
        value = f'"tcp:{port}:interface=127.0.0.1"'
    return f"{{ {key} = {{ port = {value} }} }}" if language == "lua" else f'{{"{key}": {{"port": {value}}}}}'


class BenchError(Exception):
    """What went wrong, for people, with the last lines of the logs that may tell why."""

    def __init__(self, deed: str, *logs: Path):
        # A program may log to its output alone.
        super().__init__("\n".join([deed, *(tail(log) for log in dict.fromkeys(logs))]).rstrip())


def peak_mib(pid: int) -> float:
    """The most memory the process has held, until now; 0 if it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = (line.split() for line in status.splitlines() if line.startswith("VmHWM:"))
    return next((int(words[1]) / 1024 for words in lines), 0.0)


def cpu_seconds(pid: int) -> float:
    """CPU time of a process that runs, all its threads, to the nanosecond."""
    # The clock of another process: its pid, inverted, above three bits that say which clock (2: time scheduled).
    # Source: Linux, `include/linux/posix-timers_types.h`, `make_process_cpuclock`.
    return time.clock_gettime((~pid << 3) | 2)


def shown(command: list) -> str:
    return " ".join(map(str, command))


def tail(log: Path) -> str:
    text = log.read_text(errors="replace") if log.exists() else ""
    return "\n".join(text.splitlines()[-20:])


@contextlib.contextmanager
def running(command: list[str], folder: Path, log: Path, prepare=None):
    """A child with its output in `log`; ended, at the latest, when the block is left. `prepare` is called in it first."""
    with log.open("wb") as out:
        child = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, preexec_fn=prepare
        )
    try:
        yield child
    finally:
        if child.poll() is None:
            child.terminate()
            try:
                child.wait(STOP_LIMIT)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def free_port(first: int = 0, last: int = 0) -> int:
    """A port of loopback on which nobody listens; one from a range, if that is given."""
    for port in random.sample(range(first, last), 100) if first else [0]:
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return probe.getsockname()[1]
    raise BenchError(f"no port from {first} to {last} is free")


def quietly(command: list, limit: int, **more) -> None:
    """Runs a preparation; its output is shown only if it fails."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=limit, **more
        )
    except subprocess.TimeoutExpired as late:
        raise BenchError(f"{shown(command)}: still running after {limit} s") from late
    if done.returncode != 0:
        raise BenchError(f"{shown(command)}: exit code {done.returncode}\n{done.stdout.decode(errors='replace')}")


def install_buildbot() -> Path:
    """The `buildbot` program, from PyPI the first time."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "lunabot-bench"
    venv = cache / f"buildbot-{BUILDBOT}"
    finished = venv / "finished"
    if not finished.exists():
        print(f"installing Buildbot {BUILDBOT} into {venv}", file=sys.stderr)
        shutil.rmtree(venv, ignore_errors=True)
        venv.parent.mkdir(parents=True, exist_ok=True)
        quietly([sys.executable, "-m", "venv", venv], INSTALL_LIMIT)
        packages = [f"buildbot=={BUILDBOT}", f"buildbot-worker=={BUILDBOT}"]
        quietly([venv / "bin/python", "-m", "pip", "install", "--quiet", *packages], INSTALL_LIMIT)
        finished.touch()
    return venv / "bin/buildbot"


def fleet_module():
    """The masters and the client of `benches/fleet`, a program without the ending that Python looks for."""
    loader = importlib.machinery.SourceFileLoader("fleet", str(Path(__file__).with_name("fleet")))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("fleet", loader))
    sys.modules["fleet"] = module
    loader.exec_module(module)
    return module


def output_of(*command: str) -> str:
    try:
        return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=60).stdout.strip()
    except (OSError, subprocess.TimeoutExpired):
        return ""


def machine(load: float) -> str:
    """When and where; `load` is what the machine had to do before this began."""
    cpus = (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    commit = output_of("git", "rev-parse", "--short", "HEAD") or "unknown"
    return (
        f"{datetime.date.today()}, commit {commit}; {next(cpus, platform.machine())}, "
        f"{len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB, Linux {platform.release()}, "
        f"Python {platform.python_version()}; load average {load:.1f} before"
    )
