/* Refunc's own heap: against a model of its blocks, from threads, signal handlers and forked children. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/memory.h"

struct held {
  unsigned char *start;
  size_t bytes;
  unsigned char mark;
};

static bool filled(const struct held *held, size_t bytes) {
  for (size_t i = 0; i < bytes; i++)
    if (held->start[i] != held->mark) return false;
  return true;
}

static size_t some_size(unsigned *seed) {
  unsigned r = (unsigned)rand_r(seed), kind = r % 16;
  r = (unsigned)rand_r(seed);
  return kind < 12 ? r % 2048 : kind < 15 ? r % 70000 : r % 400000;
}

static void fill(struct held *held, size_t bytes, unsigned *seed) {
  held->bytes = bytes;
  held->mark = (unsigned char)rand_r(seed);
  memset(held->start, held->mark, bytes);
}

static void renew(struct held *held, unsigned *seed) {
  size_t bytes = some_size(seed), alignment = 16;
  unsigned how = (unsigned)rand_r(seed) % 4;
  if (how != 2) rf_free(held->start);
  switch (how) {
  case 0: held->start = rf_malloc(bytes); break;
  case 1:
    held->start = rf_calloc(bytes, 1);
    for (size_t i = 0; i < bytes; i++) cr_assert_eq(held->start[i], 0);
    break;
  case 2: {
    size_t kept = held->start && held->bytes < bytes ? held->bytes : bytes;
    if (bytes == 0) bytes = 1;
    unsigned char *moved = rf_realloc(held->start, bytes);
    struct held view = {moved, 0, held->mark};
    if (held->start) cr_assert(filled(&view, kept), "realloc kept the contents");
    held->start = moved;
    break;
  }
  case 3:
    alignment = 1ul << (rand_r(seed) % 14);
    held->start = rf_memalign(alignment, bytes);
    break;
  }
  cr_assert(held->start != NULL);
  cr_assert_eq((uintptr_t)held->start % alignment, 0);
  cr_assert(rf_owns(held->start));
  cr_assert_geq(rf_usable_size(held->start), bytes);
  fill(held, rf_usable_size(held->start), seed);
}

static void *churn(void *argument) {
  unsigned seed = (unsigned)(uintptr_t)argument;
  static _Thread_local struct held all[200];
  for (int round = 0; round < 20000; round++) {
    struct held *held = &all[rand_r(&seed) % 200];
    if (held->start) {
      cr_assert(filled(held, held->bytes), "nobody else wrote here");
      if (rand_r(&seed) % 4) {
        rf_free(held->start);
        held->start = NULL;
      }
    }
    if (held->start && rand_r(&seed) % 2) continue;
    renew(held, &seed);
  }
  for (int i = 0; i < 200; i++) rf_free(all[i].start);
  return NULL;
}

Test(memory, blocks_keep_their_contents) { churn((void *)1); }

Test(memory, threads_do_not_disturb_one_another) {
  pthread_t threads[4];
  for (uintptr_t i = 0; i < 4; i++) pthread_create(&threads[i], NULL, churn, (void *)(i + 2));
  for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
}

Test(memory, freed_blocks_are_used_again) {
  rf_free(rf_malloc(100));
  size_t before = rf_memory_bytes();
  for (int i = 0; i < 100000; i++) rf_free(rf_malloc((size_t)(i % 100)));
  void *big = rf_malloc(10 << 20);
  rf_free(big);
  size_t with_big = rf_memory_bytes();
  for (int i = 0; i < 100; i++) rf_free(rf_malloc((9 << 20) + (size_t)i * 10000));
  cr_assert_leq(with_big - before, (11u << 20) + (64u << 10));
  cr_assert_eq(rf_memory_bytes(), with_big);
}

Test(memory, big_blocks_go_back_to_the_kernel_and_come_zeroed) {
  size_t bytes = 4 << 20;
  unsigned char *block = rf_malloc(bytes), resident[1024];
  memset(block, 7, bytes);
  rf_free(block);
  unsigned char *page = (unsigned char *)(((uintptr_t)block + 8191) & ~4095ul);
  cr_assert_eq(mincore(page, bytes - 8192, resident), 0);
  for (size_t i = 0; i < (bytes - 8192) / 4096; i++) cr_assert_eq(resident[i] & 1, 0);
  unsigned char *again = rf_calloc(1, bytes);
  cr_assert_eq(again, block);
  for (size_t i = 0; i < bytes; i++) cr_assert_eq(again[i], 0);
}

Test(memory, locked_pages_come_zeroed_too) {
  size_t bytes = 48 << 10; /* below what every user may lock */
  unsigned char *block = rf_malloc(bytes);
  memset(block, 7, bytes);
  cr_assert_eq(mlock(block, bytes), 0);
  rf_free(block); /* the kernel refuses to take these pages back */
  unsigned char *again = rf_calloc(1, bytes);
  cr_assert_eq(again, block);
  for (size_t i = 0; i < bytes; i++) cr_assert_eq(again[i], 0);
}

Test(memory, what_is_freed_into_a_busy_arena_is_used_again) {
  enum { COUNT = 5000 };
  static void *blocks[COUNT];
  for (int i = 0; i < COUNT; i++) blocks[i] = rf_malloc(200);
  size_t before = rf_memory_bytes();
  uint32_t held = rf_memory_fork_prepare();
  cr_assert_eq(held, 0xff, "all arenas are free to take");
  for (int i = 0; i < COUNT; i++) rf_free(blocks[i]);
  rf_memory_fork_done(held);
  for (int i = 0; i < COUNT; i++) blocks[i] = rf_malloc(200);
  cr_assert_eq(rf_memory_bytes(), before);
  for (int i = 1; i < COUNT; i++) cr_assert_neq(blocks[i], blocks[i - 1]);
}

Test(memory, foreign_and_freed_blocks_are_left_alone) {
  void *foreign = malloc(64);
  int local;
  cr_assert_not(rf_owns(NULL));
  cr_assert_not(rf_owns(foreign));
  cr_assert_not(rf_owns(&local));
  rf_free(foreign);
  rf_free(NULL);
  cr_assert_eq(rf_usable_size(foreign), 0);
  cr_assert_null(rf_realloc(foreign, 10));
  free(foreign);
  char *first = rf_malloc(40);
  rf_free(first);
  rf_free(first);
  cr_assert_neq(rf_malloc(40), rf_malloc(40), "a double free hands nothing out twice");
  rf_free(rf_memalign(4096, 10));
}

Test(memory, impossible_sizes_are_refused) {
  cr_assert_null(rf_malloc(SIZE_MAX));
  cr_assert_null(rf_malloc((size_t)PTRDIFF_MAX + 1));
  cr_assert_null(rf_calloc(SIZE_MAX / 2, 3));
  cr_assert_null(rf_memalign(48, 10));
  cr_assert_null(rf_memalign(1ul << 62, SIZE_MAX - 100));
  cr_assert_null(rf_pages(SIZE_MAX));
  char *block = rf_malloc(10);
  strcpy(block, "kept");
  cr_assert_null(rf_realloc(block, SIZE_MAX));
  cr_assert_str_eq(block, "kept");
  cr_assert_not_null(rf_malloc(0));
}

Test(memory, text_is_copied_and_printed) {
  cr_assert_str_eq(rf_strdup(""), "");
  cr_assert_str_eq(rf_strndup("abcdef", 3), "abc");
  cr_assert_str_eq(rf_strndup("ab", 30), "ab");
  char *long_text = rf_asprintf("%05000d|%s", 7, "end");
  cr_assert_eq(strlen(long_text), 5004);
  cr_assert_str_eq(long_text + 4999, "7|end");
}

Test(memory, pages_are_counted_and_not_owned) {
  size_t before = rf_memory_bytes();
  char *pages = rf_pages(10000);
  cr_assert_eq(rf_memory_bytes() - before, 12288);
  cr_assert_not(rf_owns(pages));
  cr_assert_eq(pages[0] | pages[9999], 0);
  rf_pages_free(pages, 10000);
  cr_assert_eq(rf_memory_bytes(), before);
}

Test(memory, more_than_one_region) {
  void *blocks[12];
  for (int i = 0; i < 12; i++) {
    blocks[i] = rf_malloc(60 << 20);
    cr_assert(rf_owns(blocks[i]) && rf_owns((char *)blocks[i] + (60 << 20) - 1));
  }
  cr_assert(rf_owns(rf_malloc(3ul << 30)));
  for (int i = 0; i < 12; i++) rf_free(blocks[i]);
}

Test(memory, takes_little_under_an_address_space_limit) {
  struct rlimit limit = {1ul << 30, 1ul << 30};
  setrlimit(RLIMIT_AS, &limit);
  cr_assert_not_null(rf_malloc(1000));
  void *rest = mmap(NULL, 700 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert_neq(rest, MAP_FAILED, "the app still gets its share");
  cr_assert_null(rf_malloc(900 << 20));
  cr_assert_not_null(rf_malloc(1 << 20));
}

static volatile unsigned handled;

static void allocate_in_handler(int number) {
  (void)number;
  static void *kept[64];
  unsigned i = handled++ % 64;
  rf_free(kept[i]);
  kept[i] = rf_malloc(handled % 700);
  memset(kept[i], (int)i, rf_usable_size(kept[i]));
}

Test(memory, signal_handlers_may_allocate, .timeout = 20) {
  struct sigaction action = {.sa_handler = allocate_in_handler, .sa_flags = SA_RESTART};
  sigaction(SIGALRM, &action, NULL);
  struct itimerval often = {{0, 50}, {0, 50}}, never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_REAL, &often, NULL);
  churn((void *)9);
  while (handled < 200) churn((void *)10);
  setitimer(ITIMER_REAL, &never, NULL);
}

static volatile bool forking = true;

static void *churn_while_forking(void *argument) {
  while (forking) churn(argument);
  return NULL;
}

/* A child of a raw fork, without prepare, while other threads are in the heap. */
static void child_allocates(bool prepared) {
  pthread_t threads[2];
  for (uintptr_t i = 0; i < 2; i++) pthread_create(&threads[i], NULL, churn_while_forking, (void *)(i + 20));
  for (int i = 0; i < 200; i++) {
    uint32_t held = prepared ? rf_memory_fork_prepare() : 0;
    pid_t child = fork();
    rf_memory_fork_done(held);
    if (child == 0) {
      alarm(5);
      for (int j = 0; j < 50; j++) {
        char *block = rf_malloc((size_t)j * 50);
        if (!block) _exit(1);
        memset(block, 1, (size_t)j * 50);
        if (j % 3) rf_free(block);
      }
      _exit(0);
    }
    int status;
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
  }
  forking = false;
  for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
}

Test(memory, a_forked_child_allocates, .timeout = 60) { child_allocates(true); }
Test(memory, a_child_forked_unprepared_allocates_too, .timeout = 60) { child_allocates(false); }
