/*
 * Blocks that come past the interposed functions (glibc's own names, a library's constructor, libc's inner
 * ones) are grown, measured and freed by the usual names, whichever allocator serves the program.
 * flags: -O2 -fno-builtin -D_GNU_SOURCE
 * flags: -O2 -fno-builtin -D_GNU_SOURCE -DTHREADED -pthread
 * option: heap.mode=exact
 * option: heap.allocator=jemalloc
 * expect: r["heap"]["allocator"]["name"].startswith("jemalloc")
 * expect: r["heap"]["live_bytes"] >= 0
 */
#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "case.h"

extern void *__libc_malloc(size_t), *__libc_calloc(size_t, size_t), *__libc_memalign(size_t, size_t);

static char *early;
__attribute__((constructor)) static void begin(void) { early = strdup("before main"); }

static void check_block(unsigned char *block, size_t bytes) {
  size_t usable = malloc_usable_size(block);
  REQUIRE(usable >= bytes);
  memset(block, 7, usable);
  unsigned char *moved = realloc(block, bytes * 3 + 100);
  REQUIRE(moved);
  for (size_t i = 0; i < bytes; i++) REQUIRE(moved[i] == 7);
  moved = realloc(moved, bytes / 2 + 1);
  for (size_t i = 0; i < bytes / 2 + 1; i++) REQUIRE(moved[i] == 7);
  errno = 1234;
  free(moved);
  REQUIRE(errno == 1234);
}

static void *run(void *unused) {
  for (size_t bytes = 1; bytes < 1000000; bytes = bytes * 3 + 1) {
    check_block(__libc_malloc(bytes), bytes);
    check_block(__libc_calloc(1, bytes), bytes);
    check_block(__libc_memalign(256, bytes), bytes);
    check_block(malloc(bytes), bytes);
    free(__libc_malloc(bytes));
    REQUIRE(!realloc(__libc_malloc(bytes), 0));
    REQUIRE(!realloc(malloc(bytes), 0));
  }
  return unused;
}

int main(void) {
  REQUIRE(!strcmp(early, "before main"));
  early = realloc(early, 1000);
  REQUIRE(!strcmp(early, "before main"));
  free(early);
  run(0);
#ifdef THREADED
  pthread_t thread[4];
  for (int i = 0; i < 4; i++) pthread_create(&thread[i], 0, run, 0);
  for (int i = 0; i < 4; i++) pthread_join(thread[i], 0);
#endif
  char *line = NULL;
  size_t size = 0;
  FILE *file = fopen("/proc/self/status", "r");
  while (getline(&line, &size, file) > 0) {
  }
  fclose(file);
  free(line);
  pid_t child = fork();
  if (!child) {
    run(0);
    _exit(0);
  }
  puts("done");
}
