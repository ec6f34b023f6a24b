#!/usr/bin/python3
"""The last branch of a library's code, whose last byte nothing follows, leads into its function's first bytes; and the last of it takes such
an address."""
from refunc_test import check, compile_source, same_behaviour

HEAD = '.text\n.globl first, last\n.type first, @function\nfirst: mov %edi, %eax\n add $1, %eax\n nop\n ret\n.size first, .-first\n'
ENDS = {
    "branch": '.type last, @function\nlast: xor %eax, %eax\n1: add $2, %eax\n dec %edi\n jnz 1b\n ret\n.size last, .-last\n',
    "far branch": '.type last, @function\nlast: xor %eax, %eax\n jmp 2f\n1: add $2, %eax\n test %edi, %edi\n jnz 2f\n ret\n'
                  '2: dec %edi\n .byte 0xe9\n .long 1b - . - 4\n.size last, .-last\n',
    "label": '.type last, @function\nlast: xor %eax, %eax\n jmp 2f\n1: add $2, %eax\n test %edi, %edi\n jnz 2f\n ret\n'
             '2: dec %edi\n lea 1b(%rip), %rcx\n jmp *%rcx\n.size last, .-last\n',
}
with open("main.c", "w", encoding="ascii") as file:
    file.write('#include <stdio.h>\nint first(int), last(int);\n'
               'int main(void) { int s = 0; for (int i = 1; i < 50; i++) s += first(i) + last(i); printf("%d\\n", s); }\n')
for what, end in ENDS.items():
    with open("library.S", "w", encoding="ascii") as file:
        file.write(HEAD + end + '.section .note.GNU-stack,"",@progbits\n')
    compile_source("library.S", "libends.so", ["-shared", "-nostdlib"])
    result = same_behaviour([compile_source("main.c", flags=["./libends.so"])], trace="libends.so!*", options={"timing.budget": "off"}).report()
    check(result.calls("first") == 49, f"{what}: {result.functions}")
    check(result.counted_or_skipped("last", 49), f"{what}: {result.functions} {result['skipped']}")
