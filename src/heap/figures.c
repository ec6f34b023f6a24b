/* See figures.h. */
#include "heap/figures.h"

#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "heap/allocator.h"
#include "heap/foreign.h"
#include "heap/jemalloc.h"
#include "recording/writer.h"

#define STACK_BYTES ((size_t)64 << 10)
#define MOST_RESIDENT ((uint64_t)1 << 30) /* beyond, the copy's page tables take too long */
#define MILLISECOND 1000000ll
#define PATH "heap.allocator"

/* In a page that the copy shares. */
struct answer {
  uint32_t good;
  struct mallinfo2 glibc;
  struct rf_jemalloc_figures jemalloc;
};

/* ---- in the copy ---- */

static void ask(void *place) {
  struct answer *answer = place;
  rf_syscall(SYS_prctl, PR_SET_DUMPABLE, 0); /* a heap that is spoilt leaves no core file */
  if (rf_jemalloc_serves())
    answer->good = rf_jemalloc_ask(&answer->jemalloc);
  else
    answer->glibc = mallinfo2(), answer->good = 1;
}

/* ---- in the process ---- */

/* Whether it ended by itself within the time. */
static bool wait_for(long pid, int64_t ns) {
  int64_t deadline = rf_monotonic_ns() + ns;
  for (int64_t pause_ns = 50000;; pause_ns += pause_ns / 2) {
    int status = 0;
    long ended = rf_syscall(SYS_wait4, pid, &status, WNOHANG | __WALL, 0);
    if (ended < 0) return false;
    if (ended == pid) return status == 0;
    if (rf_monotonic_ns() > deadline) break;
    struct timespec pause = {0, pause_ns};
    rf_syscall(SYS_nanosleep, &pause, 0);
  }
  rf_syscall(SYS_kill, pid, SIGKILL);
  rf_syscall(SYS_wait4, pid, 0, __WALL, 0);
  return false;
}

static bool ask_a_copy(struct answer *answer, char *stack, int64_t ns) {
  unsigned tid = 0;
  answer->good = 0;
  uint64_t mask = rf_signals_block();
  long pid = rf_clone_thread(0, stack + STACK_BYTES, ask, answer, &tid);
  rf_signals_restore(mask);
  return pid > 0 && wait_for(pid, ns) && answer->good;
}

/* Another thread may have held a lock just when the copy was made: then it is made once more. */
static bool ask_copies(struct answer *answer) {
  char *stack = rf_pages(STACK_BYTES);
  bool good =
      stack && (ask_a_copy(answer, stack, 50 * MILLISECOND) || ask_a_copy(answer, stack, 250 * MILLISECOND));
  if (stack) rf_pages_free(stack, STACK_BYTES);
  return good;
}

static void tell(const char *moment, const char *name, uint64_t value) {
  char key[96], text[32];
  snprintf(key, sizeof key, PATH ".%s%s", moment, name);
  snprintf(text, sizeof text, "%llu", (unsigned long long)value);
  rf_record_fact(key, text);
}

static void tell_jemalloc(const char *moment, const struct rf_jemalloc_figures *figures) {
  for (int i = 0; i < RF_JEMALLOC_FIGURES; i++) tell(moment, rf_jemalloc_figure_names[i], figures->value[i]);
}

static void tell_glibc(const struct mallinfo2 *info) {
  tell("", "allocated_bytes", info->uordblks + info->hblkhd);
  tell("", "mapped_bytes", info->arena + info->hblkhd);
  tell("", "arena_bytes", info->arena);
  tell("", "free_bytes", info->fordblks);
  tell("", "fast_bytes", info->fsmblks);
  tell("", "releasable_bytes", info->keepcost);
  tell("", "mmapped_bytes", info->hblkhd);
  tell("", "mmapped_blocks", info->hblks);
  tell("", "free_chunks", info->ordblks + info->smblks);
}

static struct rf_heap_figures tell_all(const struct answer *answer) {
  struct rf_jemalloc_figures peak;
  if (!rf_jemalloc_serves()) {
    tell_glibc(&answer->glibc);
    return (struct rf_heap_figures){true, answer->glibc.hblkhd};
  }
  tell_jemalloc("", &answer->jemalloc);
  if (rf_jemalloc_peak_figures(&peak)) tell_jemalloc("at_peak.", &peak);
  return (struct rf_heap_figures){.known = true};
}

struct rf_heap_figures rf_heap_tell_figures(uint64_t resident_bytes) {
  struct rf_heap_figures figures = {0};
  if (!rf_allocator_is_glibc() || rf_foreign_name()[0]) {
    rf_record_unavailable(PATH, "only glibc and jemalloc (heap.allocator=jemalloc) are asked");
    return figures;
  }
  if (resident_bytes > MOST_RESIDENT) {
    rf_record_unavailable(PATH, "above 1 GiB resident asking takes too long");
    return figures;
  }
  struct answer *answer = NULL;
  long page =
      rf_syscall(SYS_mmap, 0, sizeof *answer, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (page > 0) answer = (struct answer *)page;
  if (answer && ask_copies(answer))
    figures = tell_all(answer);
  else
    rf_record_unavailable(PATH,
                          "the allocator did not answer: its locks were held, its lists are spoilt, or the "
                          "process can't be copied");
  if (answer) rf_syscall(SYS_munmap, answer, sizeof *answer);
  return figures;
}
