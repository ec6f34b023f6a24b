#!/usr/bin/python3
"""No duration is negative or longer than the run, on any clock, under any budget: millions of calls on threads that move from processor to
processor, sleep and are interrupted, in a time namespace as well; totals and self times hold together.

timeout: 300
"""
import math
import subprocess

from refunc_test import FIXTURES, check, compile_source, measured, preloaded

COUNT = 300000
program = compile_source(f"{FIXTURES}/no_absurd.c", flags=["-O2", "-pthread"])
NAMESPACE = ["unshare", "--time", "--monotonic", "100000", "--boottime", "-1000", "--fork"]


def plausible(mode, budget, command=()):
    what = f"{mode}, {budget}{', ' + command[0] if command else ''}"
    run = preloaded([*command, program, str(COUNT)], trace=["no_absurd!brief", "no_absurd!nested", "no_absurd!in_handler"],
                    options={"timing.mode": mode, "timing.budget": budget}, timeout=200)
    check(run.status == 0, f"{what}: {run}")
    took, result = float(run.stdout), run.report(*(name for name in run.files() if "/no_absurd." in name))
    check(budget == "off" or result.function("brief")["timed_calls"] < 0.5 * 4 * COUNT, f"{what}: the budget does not bind")
    for name in ("brief", "nested"):
        function = result.function(name)
        check(function["calls"] == 4 * COUNT and function["open"] == function["unwound"] == 0, f"{what}: {name}: {function['calls']} calls")
    for function in result.functions:
        for key in ("total_s", "self_s", "mean_s", "stddev_s", "min_s", "max_s", "p50_s", "p99_s", "p999_s"):
            value = function[key]
            check(value is None and key == "self_s" or value is not None and math.isfinite(value) and value >= 0, f"{what}: {key} {value}")
        limit = took * 1.01 * (2 if mode == "process_time" else 1)  # two processors at once
        check(function["max_s"] <= limit, f"{what}: a call of {function['max_s']} s in a run of {took} s")
        # What other threads burn while the process's clock is being read, a microsecond, is in it.
        read = 2e-6 * function["calls"] if mode == "process_time" else 0
        check(function["total_s"] <= 4 * limit * 1.05 + read, f"{what}: total_s {function['total_s']} on 4 threads in {took} s")
        check(function["min_s"] <= function["p50_s"] * 1.02 and function["p50_s"] <= function["p99_s"] <= function["p999_s"], f"{what}: {function}")
        check(all(upper >= 0 for upper, _ in function["histogram"]), f"{what}: {function['histogram'][:3]}")
        check((function["self_s"] or 0) <= function["total_s"] * 1.001 + 1e-6, f"{what}: self_s {function['self_s']} of {function['total_s']}")
    print(f"{what}: longest {max(function['max_s'] for function in result.functions)} s of {took} s")


def clock_taken_out(mode):
    """A call of a nanosecond does not last as long as a clock read: a system call, with the CPU's clocks."""
    run = preloaded([brief, "many", "300000"], trace="called", options={"timing.mode": mode, "timing.budget": "off"})
    function = run.report().function("called")
    print(f"{mode}: a call of a nanosecond takes {function['mean_s'] * 1e9:.1f} ns")
    check(function["mean_s"] < 120e-9, f"{mode}: mean_s {function['mean_s']}")


brief = compile_source(f"{FIXTURES}/call_cost.c", flags=["-O2", "-pthread"])
for clock in ("perf_counter", "wall_clock", "process_time", "thread_time"):
    measured(lambda: clock_taken_out(clock))  # pylint: disable=cell-var-from-loop
    plausible(clock, "off")
    plausible(clock, "1%")
    if subprocess.run([*NAMESPACE, "true"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
        plausible(clock, "off", NAMESPACE)
