/*
 * Arguments on the stack, structs by value, results through hidden pointers and register pairs, long double, complex.
 * flags: -O2
 * flags: -O0
 * flags: -O2 -mno-red-zone -fomit-frame-pointer
 * compiler: gcc
 * trace: many, large, returns_large, pair, mixed, extended, complexly, odd
 * calls: many 100
 * calls: large 100
 * calls: returns_large 100
 * calls: pair 100
 * calls: mixed 100
 * calls: extended 100
 * calls: complexly 100
 * calls: odd 100
 */
#include <complex.h>

#include "case.h"

struct large { long v[9]; };
struct pair { double a, b; };
struct mixed { long i; double d; };
struct odd { char c[3]; };

TRACED long many(int a, int b, int c, int d, int e, int f, int g, char h, long i, double x) {
  return a + 2 * b + 3 * c + 4 * d + 5 * e + 6 * f + 7 * g + 8 * h + 9 * i + (long)x;
}
TRACED long large(struct large l, int k) { return l.v[0] + l.v[8] * k; }
TRACED struct large returns_large(int k) {
  struct large l;
  for (int i = 0; i < 9; i++) l.v[i] = i * k;
  return l;
}
TRACED struct pair pair(struct pair p) { return (struct pair){p.b, p.a}; }
TRACED struct mixed mixed(struct mixed m) { return (struct mixed){m.i + 1, m.d * 2}; }
TRACED long double extended(long double x, int k) { return x * k + 0.5L; }
TRACED double complex complexly(double complex z) { return z * z; }
TRACED struct odd odd(struct odd o) { return (struct odd){{o.c[2], o.c[0], o.c[1]}}; }

int main(void) {
  for (int i = 0; i < 100; i++) {
    REQUIRE(many(1, 2, 3, 4, 5, 6, 7, 8, i, 10.5) == 204 + 9 * i + 10);
    struct large l = returns_large(i);
    REQUIRE(l.v[8] == 8 * i && large(l, 3) == 24 * i);
    struct pair p = pair((struct pair){i, 2.5});
    REQUIRE(p.a == 2.5 && p.b == i);
    struct mixed m = mixed((struct mixed){i, 1.25});
    REQUIRE(m.i == i + 1 && m.d == 2.5);
    REQUIRE(extended(1.5L, i) == 1.5L * i + 0.5L);
    double complex z = complexly(i + 2 * I);
    REQUIRE(creal(z) == i * i - 4 && cimag(z) == 4 * i);
    struct odd o = odd((struct odd){{1, 2, (char)i}});
    REQUIRE(o.c[0] == (char)i && o.c[1] == 1 && o.c[2] == 2);
  }
}
