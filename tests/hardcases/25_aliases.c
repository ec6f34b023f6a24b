/*
 * One address under several names: a strong and a weak alias and a folded function are one function, called by any name.
 * trace: case0!original, case0!*_alias
 * expect: sum(f["calls"] for f in r.functions) == 300
 * expect: len(r.functions) == 1
 */
#include "case.h"

TRACED int original(int x) { LONG; return x + 1; }
int strong_alias(int x) __attribute__((alias("original")));
int weak_alias(int x) __attribute__((weak, alias("original")));
int (*volatile by_name[])(int) = {original, strong_alias, weak_alias};

int main(void) {
  for (int i = 0; i < 300; i++) REQUIRE(by_name[i % 3](i) == i + 1);
}
