#!/usr/bin/python3
"""Prints the table of benchmarks (scripts/bench calls it, with patterns of their names).

Each executable in tests/bench prints lines of five words, separated by tabs: what, value, unit, compared with, goal; a figure that others
are compared with stands before them. The ratio says how many times the other figure this one is; the goal is an upper bound of that ratio (x1.5)
or of the value (8), or a lower one (>x4). A figure that could not be taken has - for its value and the reason for its unit.
"""
import fnmatch
import os
import platform
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def cpu_model():
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as info:
        return next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())


def environment():
    clean = {name: value for name, value in os.environ.items() if not name.startswith("REFUNC_") and name != "LD_PRELOAD"}
    build = os.path.join(ROOT, "build")
    return {**clean, "TEST_ROOT": ROOT, "TEST_BUILD": build, "TEST_TOOL": os.path.join(build, "src/cli/refunc"),
            "TEST_PRELOAD": os.path.join(build, "preload/librefunc_preload.so"), "PYTHONPATH": os.path.join(ROOT, "tests/lib"),
            "PYTHONDONTWRITEBYTECODE": "1"}


def figures(name):
    """(what, value, unit, compared with) of one benchmark, and whether it went well."""
    with tempfile.TemporaryDirectory(prefix="refunc-bench-") as scratch:
        done = subprocess.run([os.path.join(ROOT, "tests/bench", name)], cwd=scratch, stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              env={**environment(), "XDG_STATE_HOME": os.path.join(scratch, "state")})
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") in (3, 4)]
    if done.returncode not in (0, 77):
        print(f"{name}: status {done.returncode}\n{done.stderr}", file=sys.stderr)
    return rows, done.returncode in (0, 77)


def verdict(value, ratio, goal):
    if not goal:
        return ""
    of_ratio, least = "x" in goal, goal[0] == ">"
    measured, bound = ratio if of_ratio else value, float(goal.lstrip(">x"))
    met = measured is not None and (measured >= bound if least else measured <= bound)
    return f"  {'met' if met else 'MISSED'} (at {'least' if least else 'most'} {bound:g}{' x' if of_ratio else ''})"


def show(rows, known):
    for what, value, unit, other, *goal in rows:
        if value == "-":
            print(f"{what:46}{'-':>14} {unit}", flush=True)
            continue
        known[what] = float(value)
        ratio = known[what] / known[other] if known.get(other) else None
        compared = f"{ratio:8.2f} x {other}" if ratio is not None else ""
        print(f"{what:46}{known[what]:14,.3f} {unit:6}{compared:42}{verdict(known[what], ratio, goal[0] if goal else '')}".rstrip(), flush=True)


def main():
    print(f"{cpu_model()}, {os.cpu_count()} CPUs, kernel {platform.release()}, glibc {platform.libc_ver()[1]}, "
          f"load {os.getloadavg()[0]:.1f} at the start")
    known, good = {}, True
    for name in sorted(os.listdir(os.path.join(ROOT, "tests/bench"))):
        path = os.path.join(ROOT, "tests/bench", name)
        if os.access(path, os.X_OK) and (len(sys.argv) < 2 or any(fnmatch.fnmatch(name, p) for p in sys.argv[1:])):
            print(f"\n{name.replace('_', ' ')}", flush=True)
            rows, fine = figures(name)
            show(rows, known)
            good = good and fine and bool(rows)
    return 0 if good else 1


sys.exit(main())
