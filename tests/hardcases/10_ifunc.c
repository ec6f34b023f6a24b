/*
 * An IFUNC: the function that its resolver chose is timed, not the resolver.
 * flags: -O2
 * flags: -O2 -Wl,-z,now
 * trace: chosen
 * calls: chosen 100
 */
#include "case.h"

static int resolved;
TRACED static int first(int x) { LONG; return x + 1; }
TRACED static int second(int x) { return x + 2; }
static int (*resolve(void))(int) {
  resolved++;
  return resolved > 1000 ? first : second;
}
int chosen(int x) __attribute__((ifunc("resolve")));

int main(void) {
  for (int i = 0; i < 100; i++) REQUIRE(chosen(i) == i + 2);
}
