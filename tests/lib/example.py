"""What tests of docs/examples share: building an example as its first comment says, and running it as a user would, with refunc run."""
import glob
import os
import subprocess
import tempfile

from refunc_test import ROOT, TOOL, Run, check, compile_source

EXAMPLES = os.path.join(ROOT, "docs/examples")


def build(source, *flags):
    """The program of an example, warnings being errors."""
    path = os.path.join(EXAMPLES, source)
    return compile_source(path, source.replace(".", "_"), ["-Wall", "-Wextra", "-Werror", f"-I{ROOT}/include", *flags])


def refunc_run(argv, *options, env=None, status=0):
    """refunc run OPTIONS -- ARGV; its recordings lie in a folder of their own."""
    recordings = tempfile.mkdtemp(prefix="recordings-", dir=os.getcwd())
    command = [TOOL, "run", *options, "--set", f"refunc.output={recordings}/%p.rfn", "--", *argv]
    done = subprocess.run(command, env={**os.environ, **(env or {})}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    check(done.returncode == status, f"{command}: status {done.returncode}\n{done.stderr.decode(errors='replace')}")
    return Run(argv, done.returncode, done.stdout, done.stderr, recordings)


def config(name):
    return "--config", os.path.join(EXAMPLES, name)


def sources():
    return sorted(os.path.basename(path) for path in glob.glob(os.path.join(EXAMPLES, "*")))
