#!/usr/bin/python3
"""Runs a hard case that is one source file: compiles it, runs it plain and preloaded, compares, and checks the report.

Directives stand in the file's first comment, one a line, after any of " * ", "// ", "# ":

    flags: -O2 -fipa-ra        compiler and linker flags (-O2); more lines are more variants, each run
    compiler: clang            instead of gcc/g++
    args: 3 x                  the program's arguments
    trace: f, g*               patterns (REFUNC_TRACE); none: nothing is traced
    option: heap.mode=exact    an option of Refunc; may be repeated
    status: 3                  the plain program's exit status (0); the comparison then holds both to it
    calls: f 1000              the report's calls of f; may be repeated
    calls: g >= 5              ... or a comparison
    unwound: f 3               the report's unwound of f
    skipped: f REASON-PART     f is listed as skipped, and its reason contains the words
    time: f 0.1 0.2            the report's total_s of f lies in between
    expect: EXPRESSION         Python on the report r (a Report) that must be true
    needs: PROGRAM             skipped where it is not installed
    stderr: ignore             stderr is not compared
    timeout: SECONDS           of the whole test (120)
"""
import operator
import os
import re
import shlex
import sys

from refunc_test import check, compile_source, need, plain, preloaded, same_behaviour, skip  # noqa: F401

COMPARE = {">=": operator.ge, "<=": operator.le, "==": operator.eq, ">": operator.gt, "<": operator.lt}
KEYS = ("flags", "compiler", "args", "trace", "option", "status", "calls", "unwound", "skipped", "time", "expect", "needs",
        "stderr", "timeout")


def directives(path):
    """{key: [values]} of the leading comment."""
    found = {key: [] for key in KEYS}
    with open(path, errors="replace") as file:
        for line in file:
            match = re.match(r"[\s*/#]*(\w+): (.*?)(?:\*/)?$", line)
            if match and match.group(1) in KEYS:
                found[match.group(1)].append(match.group(2).strip())
            if not re.match(r"\s*(/?\*|//|#(?!include)|$)", line):
                break
    return found


def check_number(actual, words, what):
    expected = words[-1]
    compare = COMPARE[words[0]] if len(words) == 2 else operator.eq
    check(compare(actual, int(expected)), f"{what}: {actual}, expected {' '.join(words)}")


def check_report(wanted, r):
    for key in ("calls", "unwound"):
        for value in wanted[key]:
            name, words = re.match(r"(.*?)\s+((?:[<>=]+\s+)?\d+)$", value).groups()
            check(r.find(name), f"{name} is not in the report; skipped: {r['skipped']}, unmatched: {r['unmatched']}")
            check_number(sum(function[key] for function in r.find(name)), words.split(), f"{key} of {name}")
    for value in wanted["skipped"]:
        name, _, reason = value.partition(" ")
        reasons = [entry["reason"] for entry in r["skipped"] if entry["name"].split("(")[0] == name]
        check(any(reason in given for given in reasons), f"{name} skipped because of {reasons}, expected {reason!r}")
    for value in wanted["time"]:
        name, low, high = value.rsplit(None, 2)
        total = r.function(name)["total_s"]
        check(float(low) <= total <= float(high), f"total_s of {name}: {total}, expected {low}..{high}")
    for value in wanted["expect"]:
        check(eval(value, {"r": r}), f"not true: {value}\n{r['functions']}\n{r['skipped']}"[:4000])  # pylint: disable=eval-used


def run_variant(path, wanted, flags, number):
    program = compile_source(path, f"case{number}", shlex.split(flags), wanted["compiler"][-1] if wanted["compiler"] else None)
    argv = [program, *shlex.split(" ".join(wanted["args"]))]
    options = dict(option.split("=", 1) for option in wanted["option"])
    trace = [pattern.strip() for line in wanted["trace"] for pattern in re.split(r"(?<!\\),", line)]
    status = int(wanted["status"][-1]) if wanted["status"] else 0
    before = plain(argv)
    check(before.status == status, f"without Refunc: status {before.status}, expected {status}\n{before.stderr.decode()}")
    if "ignore" in wanted["stderr"]:
        run = preloaded(argv, trace, options)
        check((run.status, run.stdout) == (before.status, before.stdout), f"{before}\n{run}")
    else:
        run = same_behaviour(argv, trace, options)
    check_report(wanted, run.report())


def main():
    path = os.path.abspath(sys.argv[1])
    wanted = directives(path)
    for program in wanted["needs"]:
        need(program)
    for number, flags in enumerate(wanted["flags"] or ["-O2"]):
        try:
            run_variant(path, wanted, flags, number)
        except AssertionError as failure:
            print(f"compiled with {flags}: {failure}")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
