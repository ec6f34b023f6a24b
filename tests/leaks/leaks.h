/*
 * What the programs in this folder share. Each loses some blocks on purpose, from functions whose names begin
 * with lost_, and keeps others; it writes what it has lost, "function blocks" a line, to $LEAKS.
 */
#pragma once

#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOINLINE __attribute__((noinline, noclone))

#ifdef __cplusplus
#define HIDE(pointer) __asm__ volatile("" : : "r"(pointer) : "memory")
#else
#define HIDE(pointer) __asm__ volatile("" : "+r"(pointer) : : "memory")
#endif

/* A function that allocates and that the report can name. */
#define ALLOCATES(name)                                                                                      \
  NOINLINE void *name(size_t bytes) {                                                                        \
    void *block = malloc(bytes);                                                                             \
    memset(block, 0, bytes);                                                                                 \
    HIDE(block);                                                                                             \
    return block;                                                                                            \
  }

/* So many blocks were lost, all from this function. */
NOINLINE static void lost(const char *function, long blocks) {
  char line[128];
  int bytes = snprintf(line, sizeof line, "%s %ld\n", function, blocks);
  int file = open(getenv("LEAKS"), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, (size_t)bytes) != bytes) abort();
  close(file);
}

/* What calls have left behind on the stack and in registers is overwritten. */
NOINLINE static void clear_stack(void) {
  volatile char dirt[32768];
  for (size_t i = 0; i < sizeof dirt; i++) dirt[i] = 0;
  __asm__ volatile("" : : : "rbx", "r12", "r13", "r14", "r15", "memory");
}
