/*
 * The unwinder against libunwind: stacks drawn at random from frames of many shapes, every instruction of
 * programs that are single-stepped, threads, signal stacks; and against call frame information that lies.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#define UNW_LOCAL_ONLY
#include <libunwind.h>
#include <unwind.h>

#include "../unwind/shapes.h"
#include "unwind/unwind.h"

enum { MAX = 256 };

struct seen {
  uintptr_t frames[MAX];
  size_t count;
  bool truncated;
};

static __thread struct rf_unwind_cache *cache;
static __thread uintptr_t outermost;
static __thread long checked, joined, different, by_libgcc;

/* libunwind stays out of the program's scope: it would replace libgcc's unwinder in exceptions. */
static struct {
  int (*getcontext)(unw_context_t *);
  int (*init)(unw_cursor_t *, unw_context_t *, int);
  int (*get)(unw_cursor_t *, int, unw_word_t *);
  int (*step)(unw_cursor_t *);
} libunwind;

static void *symbol(void *library, const char *name) {
  void *found = dlsym(library, name);
  cr_assert(found, "%s", name);
  return found;
}

static void start(void) {
  void *library = dlopen("libunwind.so.8", RTLD_NOW | RTLD_LOCAL);
  cr_assert(library);
  libunwind.getcontext = symbol(library, "_Ux86_64_getcontext");
  libunwind.init = symbol(library, "_ULx86_64_init_local2");
  libunwind.get = symbol(library, "_ULx86_64_get_reg");
  libunwind.step = symbol(library, "_ULx86_64_step");
  cr_assert_eq(rf_unwind_start(), 0);
  cache = rf_unwind_cache_new(MAX);
  cr_assert(cache);
}

static bool within(uintptr_t pc, const char *name) {
  Dl_info info;
  return dladdr((void *)(pc - 1), &info) && info.dli_sname && !strcmp(info.dli_sname, name);
}

/* The first frame in the function called name, or the stack's length. */
static size_t find(const struct seen *seen, const char *name) {
  size_t i = 0;
  while (i < seen->count && !within(seen->frames[i], name)) i++;
  return i;
}

static void ask_libunwind(unw_context_t *context, int flags, struct seen *seen) {
  unw_cursor_t cursor;
  unw_word_t pc = 0;
  libunwind.init(&cursor, context, flags);
  seen->count = 0;
  do {
    libunwind.get(&cursor, UNW_REG_IP, &pc);
    if (pc == 0) break;
    seen->frames[seen->count++] = pc;
  } while (seen->count < MAX && libunwind.step(&cursor) > 0);
}

static _Unwind_Reason_Code collect(struct _Unwind_Context *context, void *user) {
  struct seen *seen = user;
  uintptr_t pc = _Unwind_GetIP(context);
  if (seen->count == MAX || pc == 0) return _URC_NORMAL_STOP;
  seen->frames[seen->count++] = pc;
  return _URC_NO_REASON;
}

static void ask_libgcc(struct seen *seen) {
  seen->count = 0;
  _Unwind_Backtrace(collect, seen);
}

/* Drops count frames from the start. */
static void drop(struct seen *seen, size_t count) {
  if (count > seen->count) count = seen->count;
  memmove(seen->frames, seen->frames + count, (seen->count - count) * sizeof(uintptr_t));
  seen->count -= count;
}

/* Drops frames before the one whose pc is given. */
static void drop_to(struct seen *seen, uintptr_t pc) {
  size_t i = 0;
  while (i < seen->count && seen->frames[i] != pc) i++;
  drop(seen, i);
}

static void show(const char *what, const struct seen *seen) {
  fprintf(stderr, "%s%s\n", what, seen->truncated ? ", truncated" : "");
  for (size_t i = 0; i < seen->count; i++) {
    Dl_info info = {0};
    dladdr((void *)(seen->frames[i] - 1), &info);
    fprintf(stderr, "  %2zu %#lx %s %s+%#lx\n", i, seen->frames[i], info.dli_fname ? info.dli_fname : "?",
            info.dli_sname ? info.dli_sname : "?", seen->frames[i] - (uintptr_t)info.dli_saddr);
  }
}

/* Whether they walked to the thread's first frame. */
static bool whole(const struct seen *seen) {
  if (!outermost) outermost = seen->frames[seen->count - 1];
  return seen->frames[seen->count - 1] == outermost;
}

/* What lies inside a frame without call frame information is compared (limit: its number); then only ours goes on, to
 * the end, unless the thread was interrupted in that frame. Where theirs gets lost (at the instructions with which libgcc
 * leaves for an exception's handler, whatever is on the stack), ours must say so, or end as theirs does. */
static void same(const struct seen *ours, const struct seen *theirs, size_t limit) {
  size_t a = ours->count < limit ? ours->count : limit, b = theirs->count < limit ? theirs->count : limit;
  bool fine, lost = limit > ours->count && !whole(theirs);
  if (lost) a = b = a < b ? a : b;
  if (limit == 1) fine = true;
  else if (lost) fine = ours->truncated || ours->count == theirs->count;
  else fine = !ours->truncated && whole(ours);
  checked++;
  if (fine && a == b && !memcmp(ours->frames, theirs->frames, a * sizeof(uintptr_t))) return;
  if (different++ > 2) return;
  show("ours", ours);
  show("theirs", theirs);
}

/* libunwind takes no rule for the stack pointer itself, as the timing entry's frame has; libgcc does. Neither
 * steps over frames without call frame information. */
static void compare_with_others(const struct seen *ours, unw_context_t *context, int flags) {
  struct seen theirs = {.truncated = false};
  size_t limit = find(ours, "shape_frame_pointer_only");
  if (find(ours, "shape_entry") < limit) {
    ask_libgcc(&theirs);
    drop_to(&theirs, ours->frames[0]);
    by_libgcc++;
  } else {
    ask_libunwind(context, flags, &theirs);
    if (!flags) drop(&theirs, 1);
  }
  same(ours, &theirs, limit + 1);
}

static __attribute__((noinline)) void look(struct draw *draw) {
  struct seen ours;
  unw_context_t context;
  ours.count = rf_unwind_here(cache, ours.frames, MAX, &ours.truncated);
  joined += rf_unwind_reused(cache) > 0;
  drop(&ours, 1);
  libunwind.getcontext(&context);
  compare_with_others(&ours, &context, 0);
  if (draw->state % 16) return;
  ours.count = rf_unwind_here(NULL, ours.frames, MAX, &ours.truncated);
  drop(&ours, 1);
  compare_with_others(&ours, &context, 0);
}

static void *look_at_many(void *argument) {
  long wanted = *(long *)argument;
  struct draw draw = {.state = 88172645463325252ull + (uint64_t)wanted, .visit = look};
  start();
  while (checked < wanted) shapes_next(&draw, 6 + (int)(shapes_random(&draw) % 30));
  fprintf(stderr, "%ld stacks, %ld by libgcc, %ld joined the last one, %ld differ\n", checked, by_libgcc,
          joined, different);
  cr_expect_eq(different, 0);
  cr_expect_gt(joined, checked / 2);
  return NULL;
}

static void on_large_stack(void *(*body)(void *), void *argument) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 256 << 20);
  cr_assert_eq(pthread_create(&thread, &attributes, body, argument), 0);
  pthread_join(thread, NULL);
}

Test(unwind, random_stacks_equal_libunwinds, .timeout = 100) {
  long wanted = 100000;
  on_large_stack(look_at_many, &wanted);
}

Test(unwind, with_our_own_table_of_modules, .timeout = 60) {
  extern void rf_objects_own_table(void);
  long wanted = 5000;
  start();
  rf_objects_own_table();
  rf_unwind_modules_changed();
  on_large_stack(look_at_many, &wanted);
}

/* --- every instruction
 * ---------------------------------------------------------------------------------------- */

enum { TRAP_FLAG = 0x100 };
static void on_trap(int number, siginfo_t *info, void *argument) {
  ucontext_t *context = argument;
  struct rf_registers registers;
  struct seen ours;
  int error = errno;
  if (info->si_code != TRAP_TRACE) {
    context->uc_mcontext.gregs[REG_EFL] ^= TRAP_FLAG;
    return;
  }
  rf_registers_of_context(&registers, context);
  ours.count = rf_unwind_from(cache, &registers, ours.frames, MAX, &ours.truncated);
  compare_with_others(&ours, context, UNW_INIT_SIGNAL_FRAME);
  errno = error;
}

static void step_through(void (*body)(void)) {
  static char stack[1 << 20];
  stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
  struct sigaction action = {.sa_sigaction = on_trap, .sa_flags = SA_SIGINFO | SA_ONSTACK};
  start();
  sigaltstack(&alternate, NULL);
  sigaction(SIGTRAP, &action, NULL);
  shapes_breakpoint();
  body();
  shapes_breakpoint();
  fprintf(stderr, "%ld instructions, %ld by libgcc, %ld differ\n", checked, by_libgcc, different);
  cr_expect_gt(checked, 100);
  cr_expect_eq(different, 0);
}

static void visit_nothing(struct draw *draw) { draw->sink++; }

static void shapes_few(void) {
  struct draw draw = {.state = 4711, .visit = visit_nothing};
  for (int i = 0; i < 8; i++) shapes_next(&draw, 5);
}

static void bind_lazily(void) {
  struct draw draw = {.state = 3, .visit = visit_nothing};
  cr_expect_eq(shapes_library_add(2, 3), 5);
  shape_library(&draw, 0);
}

static void libc_functions(void) {
  char text[64];
  struct timespec now;
  snprintf(text, sizeof text, "%d %s %.3f", 17, "words", 2.5);
  clock_gettime(CLOCK_MONOTONIC, &now);
  free(malloc(100));
  setenv("REFUNC_TEST_VARIABLE", text, 1);
}

Test(unwind, every_instruction_of_shapes, .timeout = 100) { step_through(shapes_few); }
Test(unwind, every_instruction_of_lazy_binding, .timeout = 100) { step_through(bind_lazily); }
Test(unwind, every_instruction_of_libc_functions, .timeout = 100) { step_through(libc_functions); }
