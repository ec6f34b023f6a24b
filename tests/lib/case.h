/* For hard cases: a function that stays a function, and a failure that says where. */
#pragma once

#include <stdio.h>
#include <stdlib.h>

#define TRACED __attribute__((noinline, noclone))
/* Makes a body longer than a jump, so that it can be timed wherever the linker puts it. */
#define LONG __asm__ volatile("nop; nop; nop; nop; nop")
#define REQUIRE(condition)                                                                                   \
  do {                                                                                                       \
    if (!(condition)) {                                                                                      \
      fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition);                              \
      exit(99);                                                                                              \
    }                                                                                                        \
  } while (0)
