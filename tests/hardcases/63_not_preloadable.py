#!/usr/bin/python3
"""refunc run says clearly what can't be preloaded, and answers as a shell does for what isn't there or can't be run."""
import os
import subprocess

from refunc_test import TOOL, check, compile_source


def run(*command):
    done = subprocess.run([TOOL, "run", "--", *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    return done.returncode, done.stderr.decode()


with open("plain.c", "w", encoding="ascii") as file:
    file.write("int main(void) { return 9; }\n")
static = compile_source("plain.c", "static", ["-static"])
setuid = compile_source("plain.c", "setuid")
os.chown(setuid, 65534, 65534) if os.getuid() == 0 else None
os.chmod(setuid, 0o4755)
for program, word in ((static, "static"), (setuid, "setuid")):
    status, said = run(program)
    check(status == 125 and word in said, f"{program}: {status} {said}")
with open(static, "rb") as source, open("other", "wb") as target:  # 32 bits, as far as the header tells
    image = bytearray(source.read())
    image[4] = 1
    target.write(image)
os.chmod("other", 0o755)
status, said = run("./other")
check(status in (125, 126) and ("32" in said or "class" in said), f"32-bit: {status} {said}")
check(run("no-such-command-anywhere")[0] == 127, "a command that isn't there")
check(run("./plain.c")[0] == 126, "a file that isn't executable")
check(run(compile_source("plain.c"))[0] == 9, "the command's own status")
check(run("/bin/sh", "-c", "kill -TERM $$")[0] == 128 + 15, "a signal")
