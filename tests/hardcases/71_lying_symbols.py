#!/usr/bin/python3
"""Section headers and symbol tables that lie: the program, whose loader never looks at them, runs as without Refunc.

timeout: 180
"""
import os
import random
import re
import subprocess

from refunc_test import check, compile_source, plain, preloaded

with open("main.cc", "w", encoding="ascii") as file:
    file.write('#include <cstdio>\n#include <string>\nnamespace ns { __attribute__((noinline)) int f(std::string s) { return (int)s.size(); } }\n'
               'int main() { int x = 0; for (int i = 0; i < 100; i++) x += ns::f("text"); std::printf("%d\\n", x); return 4; }\n')
program = compile_source("main.cc", flags=["-O2"])
with open(program, "rb") as file:
    image = file.read()
listed = subprocess.run(["readelf", "-SW", program], stdout=subprocess.PIPE, check=True, text=True).stdout
areas = [(int(offset, 16), int(size, 16)) for offset, size in
         re.findall(r"\] \.(?:symtab|strtab|shstrtab|debug_info|debug_abbrev|eh_frame_hdr_none)\s+\w+\s+\w+ (\w+) (\w+)", listed)]
headers = int.from_bytes(image[0x28:0x30], "little")
areas += [(headers, len(image) - headers)] * 3
check(len(areas) >= 6, listed)
moments = random.Random(5)
expected = plain([program])
check(expected.status == 4, f"{expected}")
for number in range(80):
    damaged = bytearray(image)
    for _ in range(moments.choice((1, 3, 30, 300))):
        start, size = moments.choice(areas)
        damaged[start + moments.randrange(size)] = moments.choice((0, 255, moments.randrange(256)))
    path = os.path.abspath(f"damaged{number}")
    with open(path, "wb") as file:
        file.write(damaged)
    os.chmod(path, 0o755)
    run = preloaded([path], trace=["nothing_of_that_name", "no::such*"])
    check((run.status, run.stdout) == (expected.status, expected.stdout), f"number {number}: {run}")
    os.unlink(path)
