#!/usr/bin/python3
"""YAML that eats rules: what begins with a sign of YAML's, comments, duplicate keys, commas of flow lists; each is an error that says where."""
import os
import subprocess

from refunc_test import TOOL, check

CASES = [
    ("    args:\n      x: > 0\n", ":4:", "must be quoted"),
    ("    args:\n      x: != 0\n", ":4:", "tag"),
    ("    args:\n      x: not null #5\n", ":4:", "comment"),
    ("    args:\n      x: not null\n      x: finite\n", ":5:", "twice"),
    ("    args: { x: in {1, 2, 4} }\n", ":3:", ""),
    ("    args:\n      x: [in 0..1, finit]\n", ":4:", "did you mean 'finite'"),
    ("    args:\n      x: in 1\n", ":4:", "in' wants a range"),
    ("    args:\n      x: matches /[a/\n", ":4:", "']' is missing"),
    ("    args:\n      x->: finite\n", ":4:", "field's name"),
    ("    on_violation: retrun -1\n", ":3:", "retrun"),
    ("    on_violation: return -1 errno EINVALID\n", ":3:", "EINVALID"),
    ("    on_violation: call plugin.so:f\n", ":3:", "absolute path"),
]
GOOD = ["x: '> 0'", "x: \"!= 0\"", "x: not null   # a comment", "x: in {1, 2, 4}", "x: [not null, finite, length n]", "'x[0]': == 1; <= y * 2"]


def complaints(text):
    with open("rules.yaml", "w") as file:
        file.write(text)
    done = subprocess.run([TOOL, "run", "--config", os.path.abspath("rules.yaml"), "--", "/bin/true"], capture_output=True, text=True,
                          env={**os.environ, "REFUNC_REPORT": "none"})
    return done.returncode, done.stderr


for text, place, words in CASES:
    status, said = complaints("functions:\n  f:\n" + text)
    check(status == 125 and place in said and words in said, f"{text!r}: {status} {said}")
for rule in GOOD:
    status, said = complaints(f"functions:\n  f:\n    args:\n      {rule}\n")
    check(status == 0 and "error" not in said, f"{rule}: {status} {said}")
