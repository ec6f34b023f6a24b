#!/usr/bin/python3
"""Bad configuration: binary noise, long lines, NUL bytes, unknown keys, bad expressions. One clear line each; the app runs; run refuses."""
import os
import random
import subprocess

from refunc_test import TOOL, check, preload_environment

CASES = {
    "unknown": (b"heap:\n  mod: exact\n", b"heap.mode"),
    "value": (b"heap:\n  mode: exakt\n", b"exact"),
    "star": (b"trace:\n  functions:\n    - *_predict\n", b"quote"),
    "expression": (b"trace:\n  functions:\n    - /[/\n", b"["),
    "tab": (b"trace:\n\tfunctions: [f]\n", b""),
    "duplicate": (b"heap:\n  mode: exact\nheap:\n  mode: off\n", b"heap"),
    "alias": (b"heap: &h\n  mode: exact\nsystem: *h\n", b""),
    "deep": (b"a: " + b"[" * 50_000, b""),
    "long": (b"heap: " + b"x" * 10_000_000 + b"\n", b""),
    "nul": (b"heap:\n  mode: ex\0act\n", b""),
    "noise": (random.Random(7).randbytes(100_000), b""),
    "empty": (b"", None),
}
for name, (text, word) in CASES.items():
    with open("refunc.yaml", "wb") as file:
        file.write(text)
    environment, _ = preload_environment(env={"REFUNC_CONFIG": os.path.abspath("refunc.yaml")})
    done = subprocess.run(["/usr/bin/printf", "ran"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    check((done.returncode, done.stdout) == (0, b"ran"), f"{name}: {done}")
    check(all(line.startswith(b"refunc:") and len(line) < 2000 for line in done.stderr.splitlines()), f"{name}: {done.stderr[:2000]}")
    check((word is None) == (not done.stderr) and (word or b"") in done.stderr, f"{name}: {done.stderr[:2000]}")
    check(b"\0" not in done.stderr and b"\x1b" not in done.stderr, f"{name}: control characters")
    refused = subprocess.run([TOOL, "run", "--config", "refunc.yaml", "--", "/bin/true"], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=60, check=False)
    check(refused.returncode == (0 if word is None else 125), f"{name}: refunc run: {refused}")
