#!/usr/bin/python3
"""A process whose clocks are hours ahead or behind (a time namespace): its durations are as ever, and who looks at it from outside, or starts
while it runs, takes it for the running process that it is, so that a kill loses nothing."""
import os
import signal
import subprocess

from refunc_test import check, compile_source, need, preload_environment, preloaded, report, skip

SOURCE = """
#include <stdio.h>
#include <unistd.h>
__attribute__((noinline, noclone)) int nap(int x) { usleep(10000); return x + 1; }
int main(void) { int x = 0; while (x < 1000) { x = nap(x); printf("%d\\n", x); fflush(stdout); } return 0; }
"""
need("unshare")
with open("naps.c", "w", encoding="ascii") as file:
    file.write(SOURCE)
program = compile_source("naps.c", flags=["-O2"])

for offset in (50000, 1000000, -3000):
    inside = ["unshare", "--time", "--monotonic", str(offset), "--boottime", str(offset), "--fork"]
    if subprocess.run([*inside, "true"], stderr=subprocess.DEVNULL).returncode:
        if offset > 0:
            skip("no time namespaces here")
        continue  # the machine has not run for so long
    environment, recordings = preload_environment("nap")
    preload = environment.pop("LD_PRELOAD")
    with subprocess.Popen([*inside, "env", f"LD_PRELOAD={preload}", program], env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        lines = [process.stdout.readline() for _ in range(50)]
        (recording,) = (os.path.join(recordings, name) for name in os.listdir(recordings) if name.startswith("naps"))
        pid = int(recording.split(".")[-2])
        running = report(recording)
        check(running["process"]["exit"]["kind"] == "running", f"{offset}: {running['process']}")
        check(0 < running["process"]["duration_s"] < 60, f"{offset}: {running['process']}")
        check(preloaded(["true"]).status == 0, "another process starts")  # and completes what dead ones left
        before = running.calls("nap")
        while len(lines) < before + 100:
            lines.append(process.stdout.readline())
        os.kill(pid, signal.SIGKILL)
        lines += process.stdout.readlines()
    ended = report(recording)
    check(ended["process"]["exit"]["kind"] != "running", f"{offset}: {ended['process']}")
    check(ended.calls("nap") in (len(lines), len(lines) + 1), f"{offset}: {ended.calls('nap')} calls, {len(lines)} lines")
    nap = ended.function("nap")
    check(0.01 <= nap["min_s"] and nap["max_s"] < 30, f"{offset}: {nap}")
    check(0.5 <= ended["process"]["duration_s"] < 60, f"{offset}: {ended['process']}")
