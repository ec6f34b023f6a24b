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
#include "unwind/cfi.h"
#include "unwind/expression.h"
#include "unwind/readable.h"
#include "unwind/rules.h"
#include "unwind/seal.h"
#include "unwind/unwind.h"

enum { MAX = 256 };

struct seen {
  uintptr_t frames[MAX];
  size_t count;
  bool truncated;
};

static __thread struct rf_unwind_cache *cache;
static __thread uintptr_t outermost;
static __thread long alone, checked, joined, different, by_libgcc, held_later;

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
  struct seen seen;
  ask_libgcc(&seen);
  outermost = seen.frames[seen.count - 1];
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
    fprintf(stderr, "  %2zu %#lx %s(+%#lx) %s+%#lx\n", i, seen->frames[i],
            info.dli_fname ? info.dli_fname : "?", seen->frames[i] - (uintptr_t)info.dli_fbase,
            info.dli_sname ? info.dli_sname : "?", seen->frames[i] - (uintptr_t)info.dli_saddr);
  }
}

/* Whether they walked to the thread's first frame. */
static bool whole(const struct seen *seen) {
  return seen->count && seen->frames[seen->count - 1] == outermost;
}

/* What lies inside a frame without call frame information is compared (limit: its number); then only ours
 * goes on, to the end, unless the thread was interrupted in that frame. Where theirs gets lost (at the
 * instructions with which libgcc leaves for an exception's handler, whatever is on the stack), ours must say
 * so, or end as theirs does. At the first instruction of a landing pad where a new row of rules begins, both
 * of theirs are a row behind, and what they make of the stack is nothing: there ours alone reaches the
 * thread's first frame. */
static void same(const struct seen *ours, const struct seen *theirs, size_t limit) {
  size_t a = ours->count < limit ? ours->count : limit, b = theirs->count < limit ? theirs->count : limit;
  bool fine, lost = limit > ours->count && !whole(theirs);
  if (lost) a = b = a < b ? a : b;
  if (limit == 1)
    fine = true;
  else if (lost && !ours->truncated && whole(ours))
    fine = ++alone < 10, a = b = 1;
  else if (lost)
    fine = ours->truncated || ours->count == theirs->count;
  else
    fine = !ours->truncated && whole(ours);
  checked++;
  if (fine && a == b && !memcmp(ours->frames, theirs->frames, a * sizeof(uintptr_t))) return;
  if (different++ > 2) return;
  show("ours", ours);
  show("theirs", theirs);
}

static bool hiding, by_libgcc_only;

static void leave_out_hidden(struct seen *seen) {
  size_t kept = 0;
  for (size_t i = 0; i < seen->count; i++)
    if (seen->frames[i] < (uintptr_t)shape_pushes_anywhere || seen->frames[i] >= (uintptr_t)shapes_breakpoint)
      seen->frames[kept++] = seen->frames[i];
  seen->count = kept;
}

/* libunwind takes no rule for the stack pointer itself, as the timing entry's frame has; libgcc does. Neither
 * steps over frames without call frame information. */
static void compare_with_others(const struct seen *ours, unw_context_t *context, int flags) {
  struct seen theirs = {.truncated = false};
  size_t limit = find(ours, "shape_frame_pointer_only");
  bool entry = hiding || by_libgcc_only || find(ours, "shape_entry") < limit;
  if (!entry) {
    ask_libunwind(context, flags, &theirs);
    if (!flags) drop(&theirs, 1);
  }
  if (entry || (limit > ours->count && !whole(&theirs))) {
    ask_libgcc(&theirs);
    drop_to(&theirs, ours->frames[0]);
    by_libgcc++;
  }
  if (hiding) leave_out_hidden(&theirs);
  same(ours, &theirs, limit + 1);
}

/* What is said to be reused is the end of what came before. */
static void note_reused(const struct seen *ours) {
  static __thread struct seen before;
  size_t reused = rf_unwind_reused(cache);
  joined += reused > 0;
  cr_assert(reused <= ours->count && reused <= before.count);
  cr_assert_arr_eq(ours->frames + ours->count - reused, before.frames + before.count - reused,
                   reused * sizeof(uintptr_t));
  before = *ours;
}

enum { SEALS = 64 };

/* The last stacks: seals that hold must be of the stack that is there now, whatever came since. */
static __attribute__((noinline)) void check_seals(const struct rf_registers *registers, size_t depth) {
  static __thread struct rf_unwind_cache *walks;
  static __thread struct rf_unwind_seal *seals[SEALS];
  static __thread struct seen sealed[SEALS];
  static __thread unsigned next;
  struct seen ours;
  if (!walks) walks = rf_unwind_cache_new(depth);
  ours.count = rf_unwind_registers(walks, registers, ours.frames, depth, &ours.truncated);
  for (unsigned i = 0; i < SEALS; i++) {
    if (!seals[i] || !rf_unwind_seal_holds(seals[i], registers)) continue;
    held_later++;
    cr_assert_eq(ours.count, sealed[i].count);
    cr_assert_eq(ours.truncated, sealed[i].truncated);
    cr_assert_arr_eq(ours.frames, sealed[i].frames, ours.count * sizeof(uintptr_t));
  }
  unsigned now = next++ % SEALS;
  size_t bytes = rf_unwind_seal_bytes(depth);
  if (!seals[now]) rf_unwind_seal_init(seals[now] = malloc(bytes), bytes);
  sealed[now] = ours;
  bool fine = rf_unwind_seal(walks, registers, seals[now]),
       holds = rf_unwind_seal_holds(seals[now], registers);
  cr_assert(fine ? holds || seals[now]->epoch != rf_unwind_epoch : !holds);
}

static __attribute__((noinline)) void look(struct draw *draw) {
  struct seen ours;
  unw_context_t context;
  struct rf_registers registers;
  rf_registers_here(&registers);
  check_seals(&registers, MAX);
  ours.count = rf_unwind_here(cache, ours.frames, MAX, &ours.truncated);
  note_reused(&ours);
  drop(&ours, 1);
  libunwind.getcontext(&context);
  compare_with_others(&ours, &context, 0);
  if (draw->state % 8) return;
  ours.count = rf_unwind_here(NULL, ours.frames, MAX, &ours.truncated);
  drop(&ours, 1);
  compare_with_others(&ours, &context, 0);
}

static void *look_at_many(void *argument) {
  long wanted = *(long *)argument;
  struct draw draw = {.state = 88172645463325252ull + (uint64_t)wanted, .visit = look, .wide = 1};
  start();
  while (checked < wanted) shapes_next(&draw, 6 + (int)(shapes_random(&draw) % 30));
  fprintf(stderr, "%ld stacks, %ld by libgcc, %ld joined the last one, %ld seals held later, %ld differ\n",
          checked, by_libgcc, joined, held_later, different);
  cr_expect_eq(different, 0);
  cr_expect_gt(joined, checked / 2);
  cr_expect_gt(held_later, checked / 5000); /* few: the shapes are drawn at random */
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
  for (int i = 0; i < 5; i++) shapes_next(&draw, 5);
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

/* --- what else stacks do
 * ---------------------------------------------------------------------------------------- */

static void random_stacks(long wanted) {
  struct draw draw = {.state = 1234567 + (uint64_t)wanted, .visit = look};
  while (checked < wanted) shapes_next(&draw, 4 + (int)(shapes_random(&draw) % 16));
  cr_expect_eq(different, 0, "%ld of %ld", different, checked);
}

static void *hidden_frames(void *argument) {
  start();
  /* libgcc gives up where a frame pointer is all there is: none of those then */
  hiding = true;
  rf_unwind_hide((uintptr_t)shape_pushes_anywhere, (uintptr_t)shapes_breakpoint);
  struct draw draw = {.state = 99, .visit = look};
  shape *const shapes[] = {shape_pushes_anywhere, shape_expression, shape_entry, shape_cfa_in_r12};
  for (int i = 0; i < 3000; i++) {
    draw.sink = i;
    shapes[i % 4](&draw, 0);
    shapes[i % 4](&draw, 0);
  }
  cr_expect_eq(different, 0);
  cr_expect_gt(checked, 6000);
  return NULL;
}

Test(unwind, own_frames_are_left_out) { on_large_stack(hidden_frames, NULL); }

static __attribute__((noinline)) long recurse(struct draw *draw, int depth) {
  volatile long *room = __builtin_alloca(24 + (depth & 16)); /* so that it keeps a frame pointer */
  room[0] = room[1] = room[2] = depth;
  if (depth > 0 && shapes_random(draw) % 64) return recurse(draw, depth - 1) + room[depth % 3];
  draw->visit(draw);
  return room[1];
}

static size_t narrow = 64;

/* Only the innermost frames, of stacks much deeper than the cache. */
static void look_cut(struct draw *draw) {
  struct seen ours, theirs = {.truncated = false};
  unw_context_t context;
  struct rf_registers registers;
  rf_registers_here(&registers);
  check_seals(&registers, narrow);
  ours.count = rf_unwind_here(cache, ours.frames, narrow, &ours.truncated);
  libunwind.getcontext(&context);
  ask_libunwind(&context, 0, &theirs);
  cr_assert_eq(ours.truncated, theirs.count > narrow);
  cr_assert_eq(ours.count, ours.truncated ? narrow : theirs.count);
  cr_assert_arr_eq(ours.frames + 1, theirs.frames + 1, (ours.count - 1) * sizeof(uintptr_t));
  cr_assert(!ours.truncated || rf_unwind_reused(cache) == 0);
  checked++;
}

static long up_and_down(struct draw *draw, int depth) {
  long sum = 0;
  for (int i = 0; i < 3 && checked < 20000; i++) {
    sum += recurse(draw, (int)(shapes_random(draw) % 40));
    if (depth > 0) sum += up_and_down(draw, depth - 1);
  }
  return sum + 1;
}

Test(unwind, deeper_than_the_cache, .timeout = 60) {
  start();
  cache = rf_unwind_cache_new(narrow);
  struct draw draw = {.state = 5, .visit = look_cut};
  up_and_down(&draw, 190);
  while (checked < 20000) recurse(&draw, 220);
}

/* Two stacks with the same return addresses in the same places and the same stack pointer inside, which
 * differ in where a frame of variable size begins: only its frame pointer tells. One leads there directly,
 * the other through between(). */
static size_t variable_bytes;
static uintptr_t wanted_sp;
static int coincidences;

static __attribute__((noinline)) long variable(struct draw *draw, int way) {
  char *room = __builtin_alloca(variable_bytes);
  __asm__ volatile("" : : "r"(room) : "memory");
  uintptr_t sp = (uintptr_t)room;
  if (wanted_sp == 0) wanted_sp = sp;
  coincidences += variable_bytes < 4096 && sp == wanted_sp;
  if (way == 0)
    draw->visit(draw);
  else
    shape_pushes_anywhere(draw, 0); /* saves the frame pointer, and changes it */
  return room[0] * 0 + 1;
}

static __attribute__((noinline)) long between(struct draw *draw, int way) { return variable(draw, way) + 1; }

static __attribute__((noinline)) long by_one_call(struct draw *draw, int way, shape *next) {
  return next(draw, way) + 1;
}

static void two_stacks(void (*visit)(struct draw *)) {
  static shape *volatile const first[] = {variable, between};
  struct draw draw = {.state = 8, .visit = visit};
  for (int way = 0; way < 2; way++) {
    wanted_sp = 0;
    for (size_t bytes = 4096; bytes >= 3600; bytes -= 16) {
      for (volatile int i = 0; i < 2; i++) { /* one call instruction for both */
        variable_bytes = i ? bytes : 4096;
        by_one_call(&draw, way, first[i]);
      }
    }
  }
  cr_expect_geq(coincidences, 2);
}

Test(unwind, same_addresses_of_another_stack) {
  start();
  two_stacks(look);
  cr_expect_eq(different, 0);
}

/* Saves no register: that of the frame of variable size is still in place. */
static __attribute__((noinline)) void look_thinly(struct draw *draw) {
  static struct rf_registers registers;
  rf_registers_here(&registers);
  check_seals(&registers, MAX);
  __asm__ volatile("" ::: "memory"); /* no tail call */
}

Test(unwind, same_addresses_and_another_register) {
  start();
  two_stacks(look_thinly);
  cr_expect_gt(held_later, 0);
}

static int deeper;

static __attribute__((noinline)) void plain(struct draw *draw, int depth) {
  if (depth > 0)
    plain(draw, depth - 1);
  else
    look_cut(draw);
  __asm__ volatile("" ::: "memory"); /* no tail call */
}

static void look_deeper(struct draw *draw) { plain(draw, deeper); }

/* The two stacks differ around the last frame that is kept. */
Test(unwind, different_where_cut) {
  start();
  cache = rf_unwind_cache_new(narrow);
  for (deeper = (int)narrow - 12; deeper < (int)narrow + 2; deeper++) two_stacks(look_deeper);
  cr_expect_gt(held_later, 0);
}

static volatile long interruptions, in_walks;

static void on_timer(int number, siginfo_t *info, void *context) {
  struct rf_registers registers;
  struct seen ours;
  int error = errno;
  rf_registers_of_context(&registers, context);
  ours.count = rf_unwind_from(cache, &registers, ours.frames, MAX, &ours.truncated);
  if (ours.count == 0 || ours.frames[0] != registers.at[RF_REG_RETURN]) different++;
  Dl_info where;
  if (dladdr((void *)ours.frames[0], &where) && where.dli_sname && !strncmp(where.dli_sname, "rf_", 3))
    in_walks++;
  interruptions++;
  errno = error;
}

/* How many frames there are below depth + 1 calls of this function. */
static __attribute__((noinline)) size_t count_deep(int depth) {
  static __thread uintptr_t frames[MAX];
  bool truncated;
  if (depth > 0) {
    size_t count = count_deep(depth - 1);
    __asm__ volatile("" : "+r"(count)); /* no tail call */
    return count;
  }
  size_t count = rf_unwind_here(cache, frames, MAX, &truncated);
  return truncated ? 0 : count;
}

Test(unwind, walks_interrupt_walks, .timeout = 60) {
  struct sigaction action = {.sa_sigaction = on_timer, .sa_flags = SA_SIGINFO | SA_RESTART};
  struct itimerspec every = {{0, 50000}, {0, 50000}};
  struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGPROF};
  timer_t timer;
  bool truncated;
  uintptr_t frames[MAX];
  start();
  sigaction(SIGPROF, &action, NULL);
  cr_assert_eq(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
  timer_settime(timer, 0, &every, NULL);
  size_t count = rf_unwind_here(cache, frames, MAX, &truncated);
  for (int i = 0; interruptions < 3000 || (in_walks <= 50 && interruptions < 200000); i++)
    cr_assert_eq(count_deep(i * 7 % 50), count + (size_t)(i * 7 % 50) + 1);
  timer_delete(timer);
  cr_expect_eq(different, 0);
  fprintf(stderr, "%ld interruptions, %ld inside a walk\n", interruptions, in_walks);
  cr_expect_gt(in_walks, 50);
}

static void *some_stacks(void *argument) {
  start();
  random_stacks(*(long *)argument);
  return NULL;
}

Test(unwind, threads_share_rules_while_modules_change, .timeout = 100) {
  pthread_t threads[3];
  long wanted[3] = {3000, 3100, 3200};
  pthread_attr_t attributes;
  start();
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 128 << 20);
  for (int i = 0; i < 3; i++) pthread_create(&threads[i], &attributes, some_stacks, &wanted[i]);
  for (int i = 0; i < 3000; i++) {
    rf_unwind_modules_changed();
    rf_unwind_memory_changed();
    usleep(100);
  }
  for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static uintptr_t call_module(const char *path, struct draw *draw) {
  void *library = dlopen(path, RTLD_NOW);
  cr_assert(library, "%s", dlerror());
  shape *function = symbol(library, "shape_in_module");
  for (int i = 0; i < 20; i++) function(draw, i);
  dlclose(library);
  rf_unwind_modules_changed();
  return (uintptr_t)function;
}

Test(unwind, modules_that_take_each_others_place) {
  struct draw draw = {.state = 1, .visit = look};
  uintptr_t places[6];
  int reused = 0;
  start();
  by_libgcc_only = true; /* libunwind keeps rules of the module that was there before */
  for (int i = 0; i < 6; i++) {
    places[i] = call_module(i % 2 ? MODULE_LARGE : MODULE_SMALL, &draw);
    reused += i > 0 && places[i] == places[i - 1];
  }
  cr_expect_eq(different, 0);
  cr_expect_gt(reused, 0, "no module was loaded where the last one had been");
}

/* Code without call frame information: with a frame pointer the walk goes on, without one it says that it
 * ends. */
static struct seen from_generated(const uint8_t *code, size_t bytes) {
  static struct seen ours;
  uint8_t *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memcpy(page, code, bytes);
  size_t (*call)(struct rf_unwind_cache *, uintptr_t *, size_t, bool *, void *);
  memcpy(&call, &page, sizeof call);
  ours.count = call(cache, ours.frames, MAX, &ours.truncated, (void *)rf_unwind_here);
  return ours;
}

Test(unwind, generated_code) {
  static const uint8_t framed[] = {0x55, 0x48, 0x89, 0xe5, 0x41, 0xff, 0xd0, 0x5d, 0xc3};
  static const uint8_t bare[] = {0x55, 0x31, 0xed, 0x41, 0xff, 0xd0, 0x5d, 0xc3}; /* rbp = 0 */
  start();
  struct seen seen = from_generated(framed, sizeof framed);
  cr_expect_gt(seen.count, 3);
  cr_expect(within(seen.frames[seen.count - 1], "_start"));
  cr_expect_not(seen.truncated);
  seen = from_generated(bare, sizeof bare);
  cr_expect_eq(seen.count, 1);
  cr_expect(seen.truncated);
  if (seen.count != 1) show("bare", &seen);
}

/* --- lies
 * ------------------------------------------------------------------------------------------------------- */

/* A copy of the program's image, so that its call frame information can be spoilt. */
static struct rf_object copy_of_image(void) {
  struct rf_object object;
  cr_assert(rf_object_find((uintptr_t)shapes_next, &object));
  size_t bytes = object.end - object.start;
  uint8_t *copy = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t at = 0; at < bytes; at += RF_PAGE)
    if (rf_page_readable(object.start + at))
      memcpy(copy + at, (void *)(object.start + at), bytes - at < RF_PAGE ? bytes - at : RF_PAGE);
  uintptr_t moved = (uintptr_t)copy - object.start;
  return (struct rf_object){object.start + moved, object.end + moved, object.eh_frame_hdr + moved};
}

Test(unwind, information_that_lies, .timeout = 60) {
  struct rf_rule rule;
  struct draw draw = {.state = 42};
  long good = 0, bad = 0;
  start();
  struct rf_object object = copy_of_image();
  uint8_t *begin = (uint8_t *)object.eh_frame_hdr;
  size_t bytes = object.end - (uintptr_t)begin;
  if (bytes > 60000) bytes = 60000; /* the header, and the entries behind it */
  uint8_t *saved = malloc(bytes);
  memcpy(saved, begin, bytes);
  for (int round = 0; round < 30000; round++) {
    for (int i = 0; i < 1 + round % 40; i++)
      begin[shapes_random(&draw) % (round % 3 ? bytes : 64)] = (uint8_t)shapes_random(&draw);
    for (int i = 0; i < 4; i++) {
      uintptr_t pc = (uintptr_t)shapes_next - (uintptr_t)shapes_random + object.start +
                     shapes_random(&draw) % (object.end - object.start);
      if (rf_cfi_rule(&object, pc, pc, &rule) == 0)
        good++, rf_rules_condense(&rule);
      else
        bad++;
    }
    if (round % 10 == 9) memcpy(begin, saved, bytes);
  }
  fprintf(stderr, "%ld rules, %ld refused\n", good, bad);
  cr_expect_gt(good, 1000);
  cr_expect_gt(bad, 1000);
}

static bool read_anywhere(void *user, uintptr_t address, uintptr_t *value) {
  *value = address * 3;
  return address % 7 != 0;
}

Test(unwind, expressions_of_random_bytes, .timeout = 60) {
  struct draw draw = {.state = 43};
  struct rf_registers registers = {{1, 2, 3}};
  struct rf_value value;
  uint8_t bytes[24];
  long good = 0;
  for (int round = 0; round < 300000; round++) {
    for (size_t i = 0; i < sizeof bytes; i++)
      bytes[i] = (uint8_t)(shapes_random(&draw) % (i % 2 ? 256 : 0x98));
    struct rf_expression_context context = {.pc = 4, .push_cfa = round & 1, .read = read_anywhere};
    if (round & 2) context.registers = &registers, context.valid = 0xffff;
    good += rf_expression(&context, bytes, bytes + round % sizeof bytes, &value);
  }
  cr_expect_gt(good, 1000);
}

Test(unwind, registers_that_lie, .timeout = 60) {
  struct draw draw = {.state = 44};
  struct seen seen;
  char room[4096];
  long complete = 0;
  start();
  for (int round = 0; round < 50000; round++) {
    struct rf_registers registers;
    uintptr_t near = (uintptr_t)room + shapes_random(&draw) % 8192;
    for (int i = 0; i < RF_REGISTERS; i++) {
      uint64_t pick = shapes_random(&draw);
      registers.at[i] = pick % 4 == 0   ? near & ~(uintptr_t)7
                        : pick % 4 == 1 ? near
                        : pick % 4 == 2 ? pick
                                        : pick % 65536;
    }
    registers.at[RF_REG_STACK] = round % 2 ? near & ~(uintptr_t)7 : registers.at[RF_REG_STACK];
    registers.at[RF_REG_RETURN] = (uintptr_t)shapes_next + shapes_random(&draw) % 20000 - 6000;
    seen.count = rf_unwind_from(round % 3 ? cache : NULL, &registers, seen.frames, MAX, &seen.truncated);
    cr_assert(seen.count <= MAX);
    complete += !seen.truncated;
  }
  fprintf(stderr, "%ld of 50000 ended at an outermost frame\n", complete);
}
