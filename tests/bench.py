#!/usr/bin/python3
"""Prints the table of benchmarks (scripts/bench calls it, with patterns of their names).

Each executable in tests/bench prints lines of four words, separated by tabs: what, value, unit, compared with; a figure that others
are compared with stands before them. The ratio says how many times the other figure this one is.
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
    rows = [line.split("\t") for line in done.stdout.splitlines() if line.count("\t") == 3]
    if done.returncode not in (0, 77):
        print(f"{name}: status {done.returncode}\n{done.stderr}", file=sys.stderr)
    return rows, done.returncode in (0, 77)


def show(rows, known):
    for what, value, unit, other in rows:
        known[what] = float(value)
        ratio = f"{known[what] / known[other]:8.2f} x {other}" if known.get(other) else ""
        print(f"{what:46}{float(value):14,.3f} {unit:6}{ratio}".rstrip(), flush=True)


def main():
    print(f"{cpu_model()}, {os.cpu_count()} CPUs, kernel {platform.release()}, glibc {platform.libc_ver()[1]}")
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
