/*
 * C++ exceptions through traced frames: caught by the direct caller, further up, rethrown, nested, in destructors' company,
 * and thrown during static initialization.
 * flags: -O2
 * flags: -O0
 * flags: -O2 -static-libgcc -static-libstdc++
 * flags: -O2 -fcf-protection=full -fno-omit-frame-pointer
 * trace: thrower, middle, catcher, direct, rethrower, nester, initializer
 * option: timing.budget=off
 * calls: thrower 401
 * unwound: thrower 401
 * calls: middle 200
 * unwound: middle 200
 * calls: catcher 100
 * unwound: catcher 0
 * calls: direct 100
 * unwound: rethrower 100
 * unwound: nester 0
 * calls: initializer 1
 */
#include <exception>
#include <stdexcept>
#include <string>

#include "case.h"

static int cleaned;
struct Cleanup {
  ~Cleanup() { cleaned++; }
};

extern "C" {
TRACED int thrower(int x) { throw std::runtime_error("thrown " + std::to_string(x)); }
TRACED int middle(int x) {
  Cleanup cleanup;
  return thrower(x) + 1;
}
TRACED int rethrower(int x) {
  try {
    return middle(x) + 1;
  } catch (const std::exception &) {
    throw;
  }
}
TRACED int catcher(int x) {
  try {
    return rethrower(x) + 1;
  } catch (const std::runtime_error &error) {
    REQUIRE(error.what() == "thrown " + std::to_string(x));
    return -x;
  }
}
TRACED int direct(int x) {
  try {
    return thrower(x);
  } catch (...) {
    return x + 7;
  }
}
TRACED int nester(int x) {
  try {
    return middle(x);
  } catch (const std::exception &outer) {
    try {
      thrower(x + 1000);
    } catch (const std::exception &inner) {
      REQUIRE(inner.what() == "thrown " + std::to_string(x + 1000));
    }
    REQUIRE(outer.what() == "thrown " + std::to_string(x));
    return x;
  }
}
TRACED int initializer(void) {
  try {
    return thrower(0);
  } catch (...) {
    return 42;
  }
}
}

static int initialized = initializer();

int main() {
  REQUIRE(initialized == 42);
  for (int i = 0; i < 100; i++) {
    REQUIRE(catcher(i) == -i);
    REQUIRE(direct(i) == i + 7);
    REQUIRE(nester(i) == i);
  }
  REQUIRE(cleaned == 200 && std::uncaught_exceptions() == 0);
  puts("done");
}
