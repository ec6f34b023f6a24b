/*
 * Sized, aligned and nothrow operators new and delete, and a program that replaces them by its own.
 * flags: -O2 -std=c++17
 * flags: -O2 -std=c++17 -DREPLACED
 * option: heap.mode=exact
 * expect: r["heap"]["alloc_calls"] >= 400
 */
#include <cstdint>
#include <new>

#include "case.h"

#ifdef REPLACED
static int replaced;
void *operator new(size_t size) {
  replaced++;
  if (void *block = malloc(size)) return block;
  throw std::bad_alloc();
}
void operator delete(void *block) noexcept { free(block); }
void operator delete(void *block, size_t) noexcept { free(block); }
#endif

struct alignas(128) Wide {
  char bytes[128];
};

static void *volatile kept; // allocations that nobody could see may be left out by the compiler

int main() {
  for (int i = 0; i < 100; i++) {
    int *one = new int(i);
    REQUIRE(*one == i);
    kept = one;
    delete one;
    char *array = new (std::nothrow) char[size_t(i) + 1];
    REQUIRE(array);
    kept = array;
    delete[] array;
    Wide *wide = new Wide;
    REQUIRE(reinterpret_cast<uintptr_t>(wide) % 128 == 0);
    kept = wide;
    delete wide;
    Wide *many = new Wide[3];
    REQUIRE(reinterpret_cast<uintptr_t>(many) % 128 == 0);
    kept = many;
    delete[] many;
  }
  volatile size_t huge = SIZE_MAX / 2;
  bool thrown = false;
  try {
    ::operator delete(::operator new(huge));
  } catch (const std::bad_alloc &) {
    thrown = true;
  }
  REQUIRE(thrown && !::operator new(huge, std::nothrow));
#ifdef REPLACED
  REQUIRE(replaced >= 200);
#endif
}
