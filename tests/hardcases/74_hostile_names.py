#!/usr/bin/python3
"""Names with control characters, quotes, HTML and ten thousand letters: no report lets them through unescaped."""
import json
import subprocess

from refunc_test import TOOL, check, compile_source, preloaded

# The compiler takes only the first of each; the second is written over it in the program's symbol table.
NAMES = {b"bell_placeholder": b"bell\x1b[31m\x07\r\xff.cold"[:16], b"html_placeholder_placeho": b"<script>alert(1)</script>"[:24],
         b"quoted_name": b'quo"te\\\'d&%'[:11], b"very_" * 2000 + b"long": b"very_" * 2000 + b"long"}
with open("names.c", "w", encoding="ascii") as file:
    for name in NAMES:
        file.write(f'__attribute__((noinline, noclone)) int {name.decode()}(int x) {{ __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }}\n')
    nested = "x"
    for name in NAMES:
        nested = f"{name.decode()}({nested})"
    file.write(f"int main(void) {{ int x = 0; for (int i = 0; i < 10; i++) x = {nested}; return x != 40; }}\n")
program = compile_source("names.c", flags=["-O2"])
with open(program, "rb") as file:
    image = file.read()
for name, hostile in NAMES.items():
    check(len(name) == len(hostile), f"{name[:40]}: {len(name)} and {len(hostile)} bytes")
    image = image.replace(name, hostile)
with open(program, "wb") as file:
    file.write(image)

run = preloaded([program], trace="names!*")
check(run.status == 0, f"{run}")
for form in ("text", "json"):
    done = subprocess.run([TOOL, "report", "--format", form, *run.files()], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    check(done.returncode == 0, f"{form}: {done.stderr}")
    control = {byte for byte in done.stdout if (byte < 32 and byte != 10) or byte == 127}
    check(not control, f"{form}: control characters {control}")
    done.stdout.decode()  # is UTF-8
    if form == "json":
        names = [function["name"] for function in json.loads(done.stdout)["functions"]]
        check(any("very_very" in name for name in names) and len(names) >= 5, f"{[name[:40] for name in names]}")
