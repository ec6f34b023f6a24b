/*
 * Functions that begin with endbr64: an indirect call must still find it there.
 * flags: -O2 -fcf-protection=full
 * flags: -O0 -fcf-protection=full
 * trace: marked
 * calls: marked 100
 */
#include <string.h>

#include "case.h"

TRACED int marked(int x) { return x * 3 + 1; }
int (*volatile pointer)(int) = marked;

int main(void) {
  unsigned char start[4];
  memcpy(start, (void *)marked, 4);
  REQUIRE(!memcmp(start, "\xf3\x0f\x1e\xfa", 4));
  for (int i = 0; i < 100; i++) REQUIRE(pointer(i) == i * 3 + 1);
}
