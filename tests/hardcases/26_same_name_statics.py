#!/usr/bin/python3
"""Several static functions of one name in several files are several functions, each with its own count."""
from refunc_test import check, compile_source, same_behaviour

for number, calls in ((1, 100), (2, 250)):
    with open(f"part{number}.c", "w", encoding="ascii") as file:
        file.write(f"""__attribute__((noinline, noclone)) static int twin(int x) {{ __asm__ volatile("nop; nop; nop; nop; nop"); return x + {number}; }}
                       int part{number}(void) {{ int sum = 0; for (int i = 0; i < {calls}; i++) sum += twin(i); return sum; }}\n""")
with open("main.c", "w", encoding="ascii") as file:
    file.write('#include <stdio.h>\nint part1(void), part2(void);\nint main(void) { printf("%d %d\\n", part1(), part2()); }\n')
run = same_behaviour([compile_source("main.c", flags=["-O2", "part1.c", "part2.c"])], trace="twin")
counts = sorted(function["calls"] for function in run.report().find("twin"))
check(counts == [100, 250], f"calls {counts}, expected [100, 250]")
