/* C at -O2 without frame pointers. */
#include "shapes.h"

#include <alloca.h>
#include <link.h>
#include <pthread.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#ifdef __clang__
#define SHAPE __attribute__((noinline)) static long
#else
#define SHAPE __attribute__((noinline, noclone)) static long
#endif

uint64_t shapes_random(struct draw *draw) {
  draw->state ^= draw->state << 13;
  draw->state ^= draw->state >> 7;
  draw->state ^= draw->state << 17;
  return draw->state;
}

__attribute__((noinline)) long shapes_next(struct draw *draw, int depth) {
  uint64_t number = shapes_random(draw);
  if (depth <= 0 || number % 8 == 0) draw->visit(draw);
  if (depth <= 0) return (long)(number & 0xff);
  unsigned c = shapes_c_count - (draw->wide ? 0 : SHAPES_C_WIDE),
           cpp = shapes_cpp_count - (draw->wide ? 0 : SHAPES_CPP_WIDE);
  unsigned pick = (unsigned)(number >> 8) % (c + cpp);
  shape *next = pick < c ? shapes_c[pick] : shapes_cpp[pick - c];
  long result = next(draw, depth - 1);
  if (number >> 32 & 1) result += shapes_next(draw, depth / 2 - 1);
  return result + 1; /* no tail call */
}

SHAPE plain(struct draw *draw, int depth) { return shapes_next(draw, depth) + 1; }

SHAPE tail(struct draw *draw, int depth) { return shapes_next(draw, depth); }

SHAPE many_registers(struct draw *draw, int depth) {
  long a = (long)shapes_random(draw), b = a * 3, c = a ^ 77, d = a - b, e = b | c, f = d & e, g = a / 5,
       h = g + f;
  long result = shapes_next(draw, depth);
  return result + (a ^ b ^ c ^ d ^ e ^ f ^ g ^ h);
}

SHAPE variable(struct draw *draw, int depth) {
  size_t bytes = 16 + shapes_random(draw) % 3 * 16;
  char *block = alloca(bytes);
  memset(block, depth, bytes);
  long result = shapes_next(draw, depth);
  return result + block[bytes - 1];
}

SHAPE large(struct draw *draw, int depth) {
  volatile char block[40000];
  block[depth] = 1;
  return shapes_next(draw, depth) + block[depth];
}

SHAPE aligned(struct draw *draw, int depth) {
  __attribute__((aligned(64))) volatile char block[64];
  block[depth & 63] = 2;
  return shapes_next(draw, depth) + block[depth & 63];
}

/* A realigned frame of variable size: its CFA is loaded from memory (DRAP). */
SHAPE aligned_variable(struct draw *draw, int depth) {
  __attribute__((aligned(64))) volatile char block[64];
  size_t bytes = 8 + shapes_random(draw) % 4 * 24;
  char *more = alloca(bytes);
  memset(more, depth, bytes);
  block[depth & 63] = 3;
  return shapes_next(draw, depth) + block[depth & 63] + more[0];
}

SHAPE framed(struct draw *draw, int depth) {
  draw->sink += (long)__builtin_frame_address(0) & 1; /* makes it keep a frame pointer */
  return shapes_next(draw, depth) + depth;
}

SHAPE stack_arguments_callee(struct draw *draw, int depth, long a, long b, long c, long d, long e, long f) {
  return shapes_next(draw, depth) + a + b * c + d - e + f;
}

SHAPE stack_arguments(struct draw *draw, int depth) {
  return stack_arguments_callee(draw, depth, 1, 2, 3, 4, 5, draw->sink) + 1;
}

SHAPE variadic_callee(struct draw *draw, int depth, ...) {
  va_list list;
  va_start(list, depth);
  long first = va_arg(list, long);
  double second = va_arg(list, double);
  va_end(list);
  return shapes_next(draw, depth) + first + (long)second;
}

SHAPE variadic(struct draw *draw, int depth) { return variadic_callee(draw, depth, 5l, 2.5) + 1; }

SHAPE cold_call(struct draw *draw, int depth) {
  if (__builtin_expect(depth & 1, 0)) {
    volatile long here[3] = {depth, 2, 3};
    return shapes_next(draw, depth) + here[1];
  }
  return shapes_next(draw, depth) - depth;
}

struct compared {
  struct draw *draw;
  int depth, calls;
};
static __thread struct compared *comparing;

static int compare(const void *a, const void *b) {
  struct compared *with = comparing;
  if (with->calls++ == 1) with->draw->sink += shapes_next(with->draw, with->depth);
  comparing = with;
  return *(const int *)a - *(const int *)b;
}

SHAPE sorts(struct draw *draw, int depth) {
  int numbers[] = {5, 3, 9, 1, 7};
  struct compared with = {draw, depth, 0}, *outer = comparing;
  comparing = &with;
  qsort(numbers, 5, sizeof numbers[0], compare);
  comparing = outer;
  return numbers[0];
}

SHAPE searches(struct draw *draw, int depth) {
  int numbers[] = {1, 3, 5, 7, 9}, key = 7;
  struct compared with = {draw, depth, 0}, *outer = comparing;
  comparing = &with;
  int *found = bsearch(&key, numbers, 5, sizeof numbers[0], compare);
  comparing = outer;
  return found ? *found : 0;
}

/* libc's recursion over a tree calls back from its own depth. */
static void walk(const void *node, VISIT which, void *with) {
  struct compared *compared = with;
  (void)node;
  if (which == leaf && compared->calls++ == 0)
    compared->draw->sink += shapes_next(compared->draw, compared->depth);
}

static int compare_addresses(const void *a, const void *b) { return a < b ? -1 : a > b; }

static void leave(void *node) { (void)node; }

SHAPE walks_a_tree(struct draw *draw, int depth) {
  static const char keys[7] = {0};
  struct compared with = {draw, depth, 0};
  void *root = NULL;
  for (size_t i = 0; i < sizeof keys; i++) tsearch(&keys[i * 3 % 7], &root, compare_addresses);
  twalk_r(root, walk, &with);
  tdestroy(root, leave);
  return with.calls;
}

static int in_module(struct dl_phdr_info *info, size_t size, void *with) {
  struct compared *compared = with;
  (void)info, (void)size;
  if (compared->calls++ == 2) compared->draw->visit(compared->draw);
  return compared->calls > 3;
}

SHAPE asks_for_modules(struct draw *draw, int depth) {
  struct compared with = {draw, depth, 0};
  return dl_iterate_phdr(in_module, &with) + shapes_next(draw, depth / 2);
}

static void first_time(void) {
  struct compared *with = comparing;
  with->draw->sink += shapes_next(with->draw, with->depth);
  comparing = with;
}

SHAPE once_only(struct draw *draw, int depth) {
  pthread_once_t once = PTHREAD_ONCE_INIT;
  struct compared with = {draw, depth, 0}, *outer = comparing;
  comparing = &with;
  pthread_once(&once, first_time);
  comparing = outer;
  return depth;
}

static __thread struct compared *volatile signalled; /* raise() is declared not to come back into this file */

static void handler(int number) {
  struct compared with = *signalled;
  with.draw->sink += shapes_next(with.draw, with.depth) + number;
}

SHAPE raises(struct draw *draw, int depth) {
  struct compared with = {draw, depth < 6 ? depth : 6, 0}, *const outer = signalled;
  struct sigaction action = {.sa_handler = handler, .sa_flags = SA_NODEFER};
  signalled = &with;
  sigaction(SIGUSR1, &action, NULL);
  raise(SIGUSR1);
  signalled = outer;
  return depth;
}

static void *altstack_of_thread(void) {
  static __thread char *stack;
  if (!stack) stack = malloc(1 << 18);
  return stack;
}

static void visiting_handler(int number) { signalled->draw->visit(signalled->draw); }

/* A handler on a stack of its own, which looks at the stack that it interrupted. */
SHAPE raises_on_altstack(struct draw *draw, int depth) {
  struct compared with = {draw, depth, 0}, *const outer = signalled;
  struct sigaction action = {.sa_handler = visiting_handler, .sa_flags = SA_ONSTACK | SA_NODEFER};
  stack_t stack = {.ss_sp = altstack_of_thread(), .ss_size = 1 << 18}, before;
  signalled = &with;
  sigaltstack(&stack, &before);
  sigaction(SIGUSR2, &action, NULL);
  raise(SIGUSR2);
  signalled = outer;
  return depth;
}

/* Goes on on another stack, above or below this one. */
SHAPE switches(struct draw *draw, int depth) {
  enum { BYTES = 2 << 20 };
  static __thread char *stack;
  static __thread int used;
  if (used) return shapes_next(draw, depth) + 1;
  if (!stack) stack = aligned_alloc(4096, BYTES);
  used = 1;
  long result = shape_switch(draw, depth < 4 ? depth : 4, stack + BYTES);
  used = 0;
  return result;
}

SHAPE through_library(struct draw *draw, int depth) { return shape_library(draw, depth) + 1; }

shape *const shapes_c[] = {
    plain,
    tail,
    many_registers,
    variable,
    large,
    aligned,
    framed,
    aligned_variable,
    stack_arguments,
    variadic,
    raises_on_altstack,
    switches,
    cold_call,
    sorts,
    searches,
    raises,
    through_library,
    shape_pushes_anywhere,
    shape_expression,
    shape_entry,
    shape_frame_pointer_only,
    shape_cfa_in_r12,
    shape_far,
    walks_a_tree,
    asks_for_modules,
    once_only,
};
const unsigned shapes_c_count = sizeof shapes_c / sizeof shapes_c[0];
