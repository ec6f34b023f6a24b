#!/usr/bin/python3
"""Hardware shadow stacks stay consistent: every return of a traced call goes where its call came from, tail calls, recursion and merely counted
calls included, and unwinders see as many frames as there are entries. Kept by hand, since processors that have one are rare."""
import os

from refunc_test import FIXTURES, check, compile_source, plain, preload_environment, report

program = compile_source(f"{FIXTURES}/stepped.cc", flags=["-O2", "-foptimize-sibling-calls", "-fcf-protection=full"])
stepper = compile_source(f"{FIXTURES}/shadow_stack.c", flags=["-O2"])
alone = plain([stepper, program])
check(alone.status == 0, f"without Refunc: {alone}")
RULE = "    signature: int NAME(int x)\n    args: { x: in 0..1000 }\n    return: != -1\n"
for name, last in (("kept", RULE), ("replaced", "    signature: int jumped_to(int x)\n    args: { x: in 500..1000 }\n    on_violation: return 7\n")):
    with open(f"{name}.yaml", "w", encoding="ascii") as file:
        file.write("functions:\n" + "".join(f"  {function}:\n" + (last if function == "jumped_to" else RULE).replace("NAME", function)
                                            for function in ("outer", "jumps", "jumped_to")))
for options in ({"timing.budget": "off"}, {"timing.budget": "1%"}, {"refunc.preset": "full", "timing.budget": "off"}, {"timing.mode": "thread_time"},
                {"timing.budget": "off", "config": "kept.yaml"}, {"timing.budget": "off", "config": "replaced.yaml"}):
    config = options.pop("config", None)
    environment, recordings = preload_environment(["leaf", "jumps", "jumped_to", "recursive", "outer"], options,
                                                  {"REFUNC_CONFIG": os.path.abspath(config)} if config else None)
    run = plain([stepper, program], env={**environment, "LD_PRELOAD": "", "TARGET_PRELOAD": environment["LD_PRELOAD"]})
    check(run.status == 0, f"{options} {config}: {run}")
    print(options, config, run.stdout.decode().strip())
    result = report(*(os.path.join(recordings, name) for name in os.listdir(recordings)))
    check(result.calls("outer") == 8 * 1002, f"{options}: {result.calls('outer')} calls of outer")
