#!/usr/bin/python3
"""Recordings cut off anywhere or with bytes flipped: rendered or refused with status 2 and a reason, never a crash or a hang.

timeout: 300
"""
import random
import subprocess

from refunc_test import TOOL, check, preloaded

run = preloaded(["/usr/bin/sort", "/etc/services"], trace=["libc.so.6!str*", "libc.so.6!mem*"], options={"refunc.preset": "full"})
with open(run.files()[0], "rb") as file:
    whole = file.read()
moments = random.Random(11)


def read(image, what):
    with open("damaged.rfn", "wb") as file:
        file.write(image)
    done = subprocess.run([TOOL, "report", "--format", "json", "damaged.rfn"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=20, check=False)
    check(done.returncode in (0, 2), f"{what}: status {done.returncode}: {done.stderr[-500:]}")
    check(done.returncode == 0 or done.stderr, f"{what}: refused without a word")
    check(done.returncode == 2 or done.stdout.startswith(b"{"), f"{what}: {done.stdout[:100]}")
    return done


check(read(whole, "whole").returncode == 0, "the whole recording")
for length in [0, 1, 7, 8, 100, 4095, 4096, 4097] + [moments.randrange(len(whole)) for _ in range(60)]:
    read(whole[:length], f"cut off at {length}")
for _ in range(300):
    image = bytearray(whole)
    at = moments.randrange(4096) if moments.random() < 0.5 else moments.randrange(len(image))
    for byte in range(moments.choice((1, 1, 4, 8))):
        image[min(at + byte, len(image) - 1)] = moments.choice((0, 255, moments.randrange(256)))
    read(bytes(image), f"bytes changed at {at}")
newer = bytearray(whole)
newer[8] = 99
done = read(bytes(newer), "a newer version")
check(done.returncode == 2 and b"format 99" in done.stderr, f"a newer version: {done}")
