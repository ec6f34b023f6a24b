#!/usr/bin/python3
"""Hidden, protected and -Bsymbolic functions are called without going through a symbol: all their calls are counted."""
from refunc_test import check, compile_source, same_behaviour

with open("library.c", "w", encoding="ascii") as file:
    for visibility in ("hidden", "protected", "default"):
        file.write(f'__attribute__((noinline, visibility("{visibility}"))) int v_{visibility}(int x) {{ __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }}\n')
    file.write('__attribute__((noinline)) static int v_static(int x) { __asm__ volatile("nop; nop; nop; nop; nop"); return x + 1; }\n'
               'int all(int x) { return v_hidden(v_protected(v_default(v_static(x)))); }\n')
with open("main.c", "w", encoding="ascii") as file:
    file.write('#include <stdio.h>\nint all(int);\nint main(void) { int x = 0; for (int i = 0; i < 100; i++) x = all(x); printf("%d\\n", x); }\n')
for flags in ([], ["-Wl,-Bsymbolic"], ["-fno-semantic-interposition"], ["-fvisibility=hidden", "-Wl,-z,now"]):
    compile_source("library.c", "liball.so", ["-O2", "-shared", "-fPIC", *[f for f in flags if "visibility" not in f]])
    result = same_behaviour([compile_source("main.c", flags=["./liball.so"])], trace="liball.so!v_*").report()
    counts = {function["name"].split("(")[0]: function["calls"] for function in result.functions}
    check(counts == {f"v_{v}": 100 for v in ("hidden", "protected", "default", "static")}, f"{flags}: {counts}")
