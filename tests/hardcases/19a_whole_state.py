#!/usr/bin/python3
"""A traced call changes nothing that the processor's user can see: general registers, x87 with its control word, MXCSR, all vector and mask
registers, the stack pointer, errno; at a thread's first call, at timed, counted and checked ones, on every clock."""
import os

from refunc_test import FIXTURES, check, compile_source, preloaded

ROUNDS = 5000
program = compile_source(f"{FIXTURES}/whole_state.c", flags=["-O2", "-pthread"])
with open("rules.yaml", "w", encoding="ascii") as file:
    file.write("functions:\n  looks:\n    signature: long looks(long a, long b, double x)\n"
               "    args: { a: in 0..10; != 5, x: finite }\n    return: in 0..3\n    on_violation: report\n")
VARIANTS = [({"timing.budget": "off"}, None), ({"timing.budget": "1%"}, None),
            ({"refunc.preset": "full", "timing.budget": "off"}, None), ({"refunc.preset": "full", "timing.budget": "0.5%"}, None),
            ({"refunc.preset": "debug"}, None), ({"timing.budget": "off"}, "rules.yaml")]
VARIANTS += [({"timing.mode": mode, "timing.budget": budget}, None)
             for mode in ("wall_clock", "process_time", "thread_time") for budget in ("off", "1%")]
for options, config in VARIANTS:
    env = {"REFUNC_CONFIG": os.path.abspath(config)} if config else None
    run = preloaded([program, str(ROUNDS)], trace="looks", options={"refunc.log": "error", **options}, env=env)
    check(run.status == 0 and run.stdout == b"done\n", f"{options} {config}: {run}")
    report = run.report()
    check(report.calls("looks") in (0, 4 * ROUNDS), f"{options} {config}: {report.calls('looks')} calls")  # 0: no xsave here
