"""What tests of real programs share: running a command plain and preloaded, and reading the report.

    run = preloaded(["sqlite3", "x.db"], trace="libsqlite3.so*!sqlite3_*", stdin=script)
    assert run.report().calls("sqlite3_step") == 200000
    run = same_behaviour(["git", "status"], trace="git!cmd_*")     # fails unless output and status are the same
"""
import contextlib
import dataclasses
import glob
import json
import os
import shutil
import subprocess
import sys
import tempfile

ROOT = os.environ["TEST_ROOT"]
BUILD = os.environ["TEST_BUILD"]
PRELOAD = os.environ["TEST_PRELOAD"]
TOOL = os.environ["TEST_TOOL"]
FIXTURES = os.path.join(ROOT, "tests/fixtures")


def skip(reason):
    """Ends the test as skipped."""
    print(reason)
    sys.exit(77)


def need(*programs):
    """Skips the test where a program that it drives is not installed; returns the first one's path."""
    for program in programs:
        if not shutil.which(program):
            skip(f"needs {program}")
    return shutil.which(programs[0])


def check(condition, what):
    """An assertion that says what was expected."""
    if not condition:
        raise AssertionError(what)


def near(value, expected, tolerance, what):
    """Asserts |value - expected| <= tolerance * expected."""
    check(value is not None and abs(value - expected) <= tolerance * abs(expected),
          f"{what}: {value}, expected {expected} within {tolerance:.1%}")


@contextlib.contextmanager
def undisturbed():
    """Children run before all ordinary processes, where that is allowed: what they time is then their own doing. For less than
    a second at a time, or the kernel gives the others their turn."""
    try:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
    except PermissionError:
        print("no real-time priority here: measured among all other processes")
    try:
        yield
    finally:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def measured(attempt, attempts=4):
    """For figures of time alone: measures again where something else disturbed the measurement."""
    for number in range(attempts):
        try:
            with undisturbed():
                return attempt()
        except AssertionError as error:
            print(f"attempt {number + 1}: {error}")
            failure = error
    raise failure


class Report:
    """A report in JSON (refunc-report/1)."""

    def __init__(self, document):
        self.document = document
        check(document["schema"] == "refunc-report/1", f"schema {document.get('schema')}")

    def __getitem__(self, key):
        return self.document[key]

    @property
    def functions(self):
        return self.document["functions"]

    def find(self, name, module=None):
        """Functions of that name; a name without parameters stands for every overload."""
        return [function for function in self.functions
                if (function["name"] == name or function["name"].split("(")[0] == name)
                and (module is None or function["module"].startswith(module))]

    def function(self, name, module=None):
        found = self.find(name, module)
        check(len(found) == 1, f"{len(found)} functions called {name} among {sorted(f['name'] for f in self.functions)[:60]}")
        return found[0]

    def calls(self, name, module=None):
        return sum(function["calls"] for function in self.find(name, module))

    def skipped(self, name):
        """The reason why a function is not timed, or None."""
        return next((entry["reason"] for entry in self["skipped"] if entry["name"].split("(")[0] == name), None)

    def counted_or_skipped(self, name, calls):
        """Whether a function has exactly so many calls, or is listed as skipped with a reason."""
        return self.calls(name) == calls if self.find(name) else bool(self.skipped(name))

    def called(self):
        """Names of the functions that were called and have a time."""
        return [function["name"] for function in self.functions if function["calls"] and function["total_s"] is not None]

    @property
    def processes(self):
        return self.document.get("processes") or [self.document["process"]]


@dataclasses.dataclass
class Run:
    argv: list
    status: int
    stdout: bytes
    stderr: bytes
    recordings: str = ""

    @property
    def own_stderr(self):
        """What the program itself wrote to stderr."""
        return b"".join(line for line in self.stderr.splitlines(keepends=True) if not line.startswith(b"refunc:"))

    def files(self):
        return sorted(glob.glob(os.path.join(self.recordings, "*")))

    def report(self, *files):
        """The recordings' report, merged (all of them where none are named)."""
        return report(*(files or self.files()))


def report(*files):
    check(files, "there is no recording")
    done = subprocess.run([TOOL, "report", "--format", "json", *files], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == 0, f"refunc report: status {done.returncode}: {done.stderr.decode(errors='replace')}")
    return Report(json.loads(done.stdout))


def execute(argv, environment, stdin=b"", cwd=None, timeout=110, preexec=None):
    """stdin is bytes, or an open file; preexec is called in the child before the command."""
    feed = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin}
    done = subprocess.run(argv, env=environment, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          timeout=timeout, preexec_fn=preexec, **feed)
    return Run(argv, done.returncode, done.stdout, done.stderr)


def plain(argv, env=None, **how):
    return execute(argv, {**os.environ, **(env or {})}, **how)


def preload_environment(trace=(), options=None, env=None, recordings=None):
    """The environment that records a command. trace: a pattern or several; options: {"heap.mode": "off"}."""
    recordings = recordings or tempfile.mkdtemp(prefix="recordings-", dir=os.getcwd())
    environment = {**os.environ, **(env or {}), "LD_PRELOAD": PRELOAD, "REFUNC_REPORT": "none",
                   "REFUNC_OUTPUT": os.path.join(recordings, "%e.%p.rfn")}
    patterns = [trace] if isinstance(trace, str) else list(trace)
    if patterns:
        environment["REFUNC_TRACE"] = ",".join(patterns)
    for key, value in (options or {}).items():
        environment["REFUNC_" + key.removeprefix("refunc.").replace(".", "_").upper()] = value
    return environment, recordings


def preloaded(argv, trace=(), options=None, env=None, **how):
    environment, recordings = preload_environment(trace, options, env)
    run = execute(argv, environment, **how)
    run.recordings = recordings
    return run


def difference(what, expected, actual):
    return f"{what} differs\n--- plain\n{expected[-2000:]!r}\n--- preloaded\n{actual[-2000:]!r}"


def same_behaviour(argv, trace=(), options=None, env=None, prepare=None, normalize=lambda output: output, **how):
    """Runs a command plain and preloaded (prepare() before each) and fails unless stdout, stderr without Refunc's own
    lines and the exit status are the same. Returns the preloaded run."""
    runs = []
    for preload in (False, True):
        if prepare:
            prepare()
        runs.append(preloaded(argv, trace, options, env, **how) if preload else plain(argv, env, **how))
    before, after = runs
    check(after.status == before.status, f"exit status {after.status}, without Refunc {before.status}\n" +
          after.stderr.decode(errors="replace")[-2000:])
    check(normalize(after.stdout) == normalize(before.stdout), difference("stdout", before.stdout, after.stdout))
    check(normalize(after.own_stderr) == normalize(before.own_stderr), difference("stderr", before.stderr, after.stderr))
    return after


def at_least_timed(result, count):
    """Fails unless that many different functions were called and timed."""
    timed = {function["name"] for function in result.functions if function["timed_calls"]}
    check(len(timed) >= count, f"only {len(timed)} functions timed, expected {count}: {sorted(timed)[:80]}; "
          f"skipped {len(result['skipped'])}, unmatched {result['unmatched'][:5]}")


def compile_source(source, output=None, flags=(), compiler=None):
    """Compiles one C, C++ or assembly file into the current directory and returns the program's path."""
    compiler = compiler or ("g++" if source.endswith((".cc", ".cpp")) else "gcc")
    output = os.path.abspath(output or os.path.splitext(os.path.basename(source))[0])
    done = subprocess.run([compiler, "-g", f"-I{ROOT}/tests/lib", "-o", output, source, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(done.returncode == 0, f"{compiler} {source}: {done.stdout.decode(errors='replace')}")
    return output


def compile_rust(source, flags=()):
    """Compiles one Rust file into the current directory and returns the program's path; skips the test without a compiler."""
    output = os.path.abspath(os.path.splitext(os.path.basename(source))[0])
    done = subprocess.run([need("rustc"), "--edition=2021", "-O", "-o", output, source, *flags], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT)
    check(done.returncode == 0, f"rustc {source}: {done.stdout.decode(errors='replace')}")
    return output
