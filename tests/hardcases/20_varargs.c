/*
 * Variadic functions: al says how many vector registers hold arguments.
 * flags: -O2
 * flags: -O0
 * trace: sum, count_only
 * calls: sum 100
 * calls: count_only 100
 */
#include <stdarg.h>

#include "case.h"

TRACED double sum(const char *kinds, ...) {
  double total = 0;
  va_list list;
  va_start(list, kinds);
  for (; *kinds; kinds++) total += *kinds == 'd' ? va_arg(list, double) : *kinds == 'i' ? va_arg(list, int) : (double)va_arg(list, long double);
  va_end(list);
  return total;
}
__attribute__((noinline, noclone)) int count_only(int count, ...) {
  unsigned char al;
  __asm__ volatile("mov %%al, %0" : "=m"(al)); /* not reliable: only that it does not crash */
  return count;
}

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(sum("didididididLdddd", 1.0, 2, 3.0, 4, 5.0, 6, 7.0, 8, 9.0, 10, 11.0, 12.0L, 13.0, 14.0, 15.0, 16.0 + i) == 136 + i);
    REQUIRE(count_only(3, 1.0, 2, 3.0) == 3);
  }
}
