/*
 * -fno-plt, full RELRO, separate code segments, no PIE, and the output of lld.
 * flags: -O2 -fno-plt -Wl,-z,now,-z,relro
 * flags: -O2 -no-pie
 * flags: -O2 -fuse-ld=lld
 * flags: -O2 -fuse-ld=lld -Wl,-z,now,--icf=all
 * flags: -O2 -Wl,-z,noseparate-code
 * needs: ld.lld
 * trace: own, strtol
 * calls: own 100
 * calls: strtol 100
 */
#include "case.h"

TRACED int own(int x) { LONG; return x + 3; }

int main(void) {
  for (int i = 0; i < 100; i++) {
    char text[16];
    snprintf(text, sizeof text, "%d", i);
    REQUIRE(own((int)strtol(text, 0, 10)) == i + 3);
  }
}
