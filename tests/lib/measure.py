"""How benchmarks measure on a machine that others use too.

Variants run in turn, round after round, so that a slow minute hits all of them; what is compared is the median of the rounds. Inside
a program the best of many short batches counts: the rest was interrupted. Whole programs are measured by their CPU time (user and
system, all of their threads, children included), which waiting for a processor does not add to; wall time, where it is the question, by its
lowest. Programs of one thread are pinned to one processor.
"""
import os
import statistics
import time

from refunc_test import check, preload_environment


def pin():
    """Pins this process and what it starts to one processor."""
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def unpin():
    os.sched_setaffinity(0, range(os.cpu_count()))


def show(what, value, unit, other="", goal=""):
    """One line of the table. goal: 'x1.5' bounds the ratio to the other figure, '8' the value itself, '>x4' the ratio
    from below."""
    print(what, f"{value:.6g}", unit, other, goal, sep="\t", flush=True)


def absent(what, reason):
    print(what, "-", reason, "", "", sep="\t", flush=True)


def child(argv, environment=None, stdin=None):
    """(stdout, CPU seconds, wall seconds) of a command that must succeed; its stderr is dropped."""
    read, write = os.pipe()
    actions = [(os.POSIX_SPAWN_OPEN, 0, stdin or os.devnull, os.O_RDONLY, 0), (os.POSIX_SPAWN_DUP2, write, 1),
               (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0), (os.POSIX_SPAWN_CLOSE, read), (os.POSIX_SPAWN_CLOSE, write)]
    start = time.perf_counter()
    pid = os.posix_spawnp(argv[0], argv, environment if environment is not None else os.environ, file_actions=actions)
    os.close(write)
    with os.fdopen(read, "rb") as pipe:
        output = pipe.read()
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    check(status == 0, f"{' '.join(argv)}: wait status {status}")
    return output, usage.ru_utime + usage.ru_stime, wall


def watched(trace=(), **options):
    """The environment that preloads; timing_budget="off" is the option timing.budget. The recording stays in memory."""
    settings = {key.replace("_", ".", 1): value for key, value in options.items()}
    return preload_environment(trace, {"refunc.output": "none", **settings}, recordings=os.getcwd())[0]


def rounds(variants, count, measure):
    """{name: [figure, ...]}: measure(variant) of every variant in turn, count times."""
    figures = {name: [] for name in variants}
    for _ in range(count):
        for name, variant in variants.items():
            figures[name].append(measure(variant))
    return figures


def medians(variants, count, measure):
    return {name: statistics.median(taken) for name, taken in rounds(variants, count, measure).items()}


def printed_ns(command):
    """The last word that a program prints: its own figure. command: (argv, environment)."""
    return float(child(*command)[0].split()[-1])


def cpu_s(command):
    return child(*command)[1]


def wall_s(command):
    return child(*command)[2]
