/*
 * A switch through a jump table, the function's very first instructions belonging to it.
 * flags: -O2 -fno-stack-protector
 * flags: -O2 -fPIC -fcf-protection
 * flags: -O0
 * trace: dispatch
 * calls: dispatch 1000
 */
#include "case.h"

TRACED int dispatch(int kind, int x) {
  switch (kind) {
  case 0: return x + 1;
  case 1: return x * 3;
  case 2: return x ^ 85;
  case 3: return x - 9;
  case 4: return x << 2;
  case 5: return x / 7;
  case 6: return -x;
  case 7: return x & 12;
  default: return 0;
  }
}

int main(void) {
  long sum = 0;
  for (int i = 0; i < 1000; i++) sum += dispatch(i % 10, i);
  printf("%ld\n", sum);
}
