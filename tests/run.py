#!/usr/bin/python3
"""Builds with gcc and clang, then runs every check and test: tests/run.py [PATTERN...] (scripts/test calls it).

A test is
    build/gcc, build/clang       the compilation itself, warnings being errors
    checks/NAME                  an executable in tests/checks
    unit/SUITE::CASE             a case of a Criterion program that meson knows of; unit-clang/ the same built by clang
    programs/, examples/, hardcases/
                                 an executable in that folder of tests, or (hardcases) a .c, .cc or .S file with
                                 directives in its first comment, run by tests/lib/hardcase.py

An executable passes with status 0, skips with 77 (its last line says why) and fails with anything else, or when it takes
longer than its time (the line "# timeout: SECONDS" in its text, else 120 s). It runs in a folder of its own, with

    TEST_ROOT  TEST_BUILD  TEST_PRELOAD  TEST_TOOL  PYTHONPATH (tests/lib)  XDG_STATE_HOME (inside its folder)
"""
import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FOLDERS = ("checks", "programs", "examples", "hardcases")
COMPILERS = {"gcc": ("build", {"CC": "gcc", "CXX": "g++"}), "clang": ("build-clang", {"CC": "clang", "CXX": "clang++"})}
SKIP = 77


class Tally:
    """Prints a line a test and counts."""

    def __init__(self):
        self.passed = self.failed = 0
        self.skipped = []
        self.failures = []

    def add(self, name, status, seconds, output=""):
        word = "ok" if status == 0 else "skipped" if status == SKIP else "FAILED"
        reason = output.strip().splitlines()[-1] if status == SKIP and output.strip() else ""
        print(f"{word:8}{name:60}{seconds:8.2f} s  {reason}".rstrip(), flush=True)
        if status == 0:
            self.passed += 1
        elif status == SKIP:
            self.skipped.append(name)
        else:
            self.failed += 1
            self.failures.append(name)
            print("".join(f"    | {line}\n" for line in output.splitlines()[-80:]), end="", flush=True)

    def finish(self):
        if self.skipped:
            print(f"{len(self.skipped)} skipped")
        for name in self.failures:
            print(f"failed: {name}")
        print(f"{self.passed} passed, {self.failed} failed", flush=True)
        return 1 if self.failed or not self.passed else 0


def matches(name, patterns):
    """Whether a test is asked for; a pattern is a beginning of its name or a glob on all of it."""
    return not patterns or any(name.startswith(pattern) or fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def may_match_in(group, patterns):
    """Whether a group of tests, whose names are not known yet, can hold one that is asked for."""
    return not patterns or any(pattern.startswith(group) or group.startswith(pattern.split("/")[0]) for pattern in patterns)


def stop_group(process):
    """Ends what a test started and left behind; its group is its own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def run(argv, timeout, cwd, environment):
    """(status, output, seconds) of a command in a process group of its own, which is gone afterwards."""
    start = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT, start_new_session=True)
        try:
            status, late = process.wait(timeout), ""
        except subprocess.TimeoutExpired:
            status, late = 124, f"\nstill running after {timeout} s\n"
        stop_group(process)
        process.wait()
        output.seek(0)
        text = output.read().decode(errors="replace") + late
    if status < 0:
        text += f"\nended by {signal.Signals(-status).name}\n"
    return status, text, time.monotonic() - start


def build(compiler):
    directory, variables = COMPILERS[compiler]
    log = subprocess.run([os.path.join(ROOT, "scripts/build"), directory], cwd=ROOT, env={**os.environ, **variables},
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return log.returncode, log.stdout


def timeout_of(path):
    with open(path, errors="replace") as file:
        found = re.search(r"^\W*timeout: (\d+)", file.read(4000), re.MULTILINE)
    return int(found.group(1)) if found else 120


def test_environment(scratch, directory="build"):
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith("REFUNC_") and name not in ("LD_PRELOAD", "XDG_CONFIG_HOME")}
    build_directory = os.path.join(ROOT, directory)
    environment.update(TEST_ROOT=ROOT, TEST_BUILD=build_directory, TEST_TOOL=os.path.join(build_directory, "src/cli/refunc"),
                       TEST_PRELOAD=os.path.join(build_directory, "preload/librefunc_preload.so"),
                       PYTHONPATH=os.path.join(ROOT, "tests/lib"), PYTHONDONTWRITEBYTECODE="1",
                       XDG_STATE_HOME=os.path.join(scratch, "state"), XDG_CONFIG_HOME=os.path.join(scratch, "config"),
                       LC_ALL="C.UTF-8")
    return environment


def run_executable(argv, path):
    scratch = tempfile.mkdtemp(prefix="refunc-test-")
    try:
        return run(argv, timeout_of(path), scratch, test_environment(scratch))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def executables(folder):
    """(name, argv, path) of every test in a folder of tests."""
    top = os.path.join(ROOT, "tests", folder)
    harness = os.path.join(ROOT, "tests/lib/hardcase.py")
    for entry in sorted(os.listdir(top)) if os.path.isdir(top) else ():
        path = os.path.join(top, entry)
        if not os.path.isfile(path) or entry.startswith("."):
            continue
        if os.access(path, os.X_OK):
            yield f"{folder}/{os.path.splitext(entry)[0]}", [path], path
        elif folder == "hardcases" and entry.endswith((".c", ".cc", ".S")):
            yield f"{folder}/{os.path.splitext(entry)[0]}", ["/usr/bin/python3", harness, path], path


def tap_cases(text):
    """(status, name, seconds) of every case in Criterion's TAP output."""
    for line in text.splitlines():
        found = re.match(r"(ok|not ok) - (\S+::\S+?):?\s(.*)$", line + " ")
        if found:
            seconds = re.search(r"\(([\d.]+)s\)", found.group(3))
            skipped = "# SKIP" in found.group(3)
            yield (SKIP if skipped else 0 if found.group(1) == "ok" else 1), found.group(2), float(seconds.group(1)) if seconds else 0


def run_unit_program(test, directory, scratch):
    """(status, output, seconds, TAP text) of one program that meson knows as a test."""
    tap = os.path.join(scratch, "tap")
    environment = {**test_environment(scratch, directory), **test.get("env", {}), "CRITERION_OUTPUTS": f"tap:{tap}"}
    status, output, seconds = run(test["cmd"], test.get("timeout") or 120, test.get("workdir") or scratch, environment)
    text = ""
    if os.path.exists(tap):
        with open(tap, errors="replace") as file:
            text = file.read()
    return status, output, seconds, text


def unit_tests(group, directory, patterns, tally):
    listed = subprocess.run(["meson", "introspect", "--tests", directory], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    for test in json.loads(listed.stdout):
        with tempfile.TemporaryDirectory(prefix="refunc-unit-") as scratch:
            status, output, seconds, text = run_unit_program(test, directory, scratch)
        cases = list(tap_cases(text))
        for case_status, name, case_seconds in cases:
            if matches(f"{group}/{name}", patterns):
                tally.add(f"{group}/{name}", case_status, case_seconds, output)
        # A program that is no Criterion program, or that failed without saying in which case, counts as one test.
        name = f"{group}/{test['name'].replace(' ', '_')}"
        if matches(name, patterns) and (not cases or (status and all(case[0] in (0, SKIP) for case in cases))):
            tally.add(name, status, seconds, output)


def build_all(patterns, tally):
    """Builds what the chosen tests need; the directories that were built."""
    built = set()
    for compiler in COMPILERS:
        needed = compiler == "gcc" or may_match_in("build", patterns) or may_match_in("unit-clang", patterns)
        if not needed:
            continue
        start = time.monotonic()
        status, output = build(compiler)
        tally.add(f"build/{compiler}", status, time.monotonic() - start, output)
        if status == 0:
            built.add(COMPILERS[compiler][0])
        elif compiler == "gcc":
            break
    return built


def main():
    patterns = sys.argv[1:]
    tally = Tally()
    built = build_all(patterns, tally)
    if "build" in built:
        for folder in FOLDERS:
            for name, argv, path in executables(folder):
                if matches(name, patterns):
                    status, output, seconds = run_executable(argv, path)
                    tally.add(name, status, seconds, output)
            if folder == "checks":
                for group, directory in (("unit", "build"), ("unit-clang", "build-clang")):
                    if directory in built and may_match_in(group, patterns):
                        unit_tests(group, directory, patterns, tally)
    return tally.finish()


sys.exit(main())
