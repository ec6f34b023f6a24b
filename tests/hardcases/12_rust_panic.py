#!/usr/bin/python3
"""Panics of Rust pass through timed functions: caught, resumed, in destructors, at the end of a thread; every call is counted, and those that
did not return are unwound."""
from refunc_test import FIXTURES, check, compile_rust, same_behaviour

program = compile_rust(f"{FIXTURES}/rust_panics.rs")
for options in ({"timing.budget": "off"}, {"timing.budget": "off", "heap.mode": "exact", "trace.edges": "on"}, {}):
    run = same_behaviour([program], trace=["rust_panics::*"], options=options)
    report, counted = run.report(), 0
    for line in run.stdout.decode().splitlines()[1:]:
        name, entered, returned = line.split()
        function = report.function(f"rust_panics::{name}")
        counted += int(entered)
        check(function["calls"] == int(entered), f"{name}: {function['calls']} calls, by the program's count {entered}")
        if options:
            left = int(entered) - int(returned)
            check(function["unwound"] == left, f"{name}: {function['unwound']} unwound, by the program's count {left}")
        check(function["open"] == 0, f"{name}: {function['open']} open")
    check(counted > 10000, f"only {counted} calls")
