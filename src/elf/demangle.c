/*
 * See demangle.h. libiberty's callback interface needs no heap, but
 *
 * - a mangled name of a few hundred bytes may stand for gigabytes (substitutions that double): the first
 * piece of output that does not fit ends the work by a jump out of the library, which holds nothing that
 * would have to be given back;
 * - it takes 64 bytes of stack for each byte of a name and recurses: more than a small thread has. So it
 * works on a stack of our own. One for names that fit libiberty's own limits is kept for the next time; a
 * name beyond them gets a large one of its own. Whoever takes the kept one holds it alone: no lock, so
 * nothing that a forked child could find held.
 */
#include "elf/demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"

#define NAME_LIMIT 16384
#define SHORT_LIMIT 1000 /* longer ones exceed libiberty's recursion limit */
#define SHORT_STACK ((size_t)1 << 20)
#define LONG_STACK ((size_t)16 << 20)
#define GUARD_BYTES ((size_t)65536)

struct work {
  const char *name;
  int options;
  char *buffer;
  size_t size, length; /* length: 0 until it is done */
};

struct output {
  char *buffer;
  size_t size, length;
  void *jump[5];
};

__attribute__((noreturn)) static void leave(struct output *output) { __builtin_longjmp(output->jump, 1); }

static void take(const char *piece, size_t length, void *user) {
  struct output *output = user;
  if (length >= output->size - output->length) leave(output);
  memcpy(output->buffer + output->length, piece, length);
  output->length += length;
}

/* Rust's old scheme looks like C++ but for its hash, so Rust is asked first. */
static bool demangle(const struct work *work, struct output *output) {
  if (rust_demangle_callback(work->name, work->options, take, output)) return true;
  output->length = 0;
  int options = work->options | DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP;
  return work->name[1] == 'Z' && cplus_demangle_v3_callback(work->name, options, take, output);
}

__attribute__((noinline)) static void demangle_or_leave(void *user) {
  struct work *work = user;
  struct output output = {.buffer = work->buffer, .size = work->size};
  if (__builtin_setjmp(output.jump) != 0 || !demangle(work, &output)) return;
  work->buffer[output.length] = '\0';
  work->length = output.length;
}

/* ---- Stacks ---- */

static char *kept_stack; /* of SHORT_STACK bytes, or NULL: none, or in use */

static char *new_stack(size_t bytes) {
  char *stack = rf_pages(bytes);
  if (stack) rf_syscall(SYS_mprotect, stack, GUARD_BYTES, PROT_NONE);
  return stack;
}

static void on_short_stack(struct work *work) {
  char *stack = __atomic_exchange_n(&kept_stack, NULL, __ATOMIC_ACQUIRE), *none = NULL;
  if (!stack) stack = new_stack(SHORT_STACK);
  if (!stack) return;
  rf_call_on_stack(stack + SHORT_STACK, demangle_or_leave, work);
  if (!__atomic_compare_exchange_n(&kept_stack, &none, stack, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED))
    rf_pages_free(stack, SHORT_STACK);
}

static void on_long_stack(struct work *work) {
  char *stack = new_stack(LONG_STACK);
  if (!stack) return;
  work->options |= DMGL_NO_RECURSE_LIMIT;
  rf_call_on_stack(stack + LONG_STACK, demangle_or_leave, work);
  rf_pages_free(stack, LONG_STACK);
}

/* AddressSanitizer follows jumps only on the thread's own stack. */
#if defined(__SANITIZE_ADDRESS__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

size_t rf_demangle(const char *name, char *buffer, size_t size) {
  if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') || size == 0) return 0;
  size_t length = strnlen(name, NAME_LIMIT + 1);
  struct work work = {.name = name, .options = DMGL_NO_OPTS, .buffer = buffer, .size = size};
  if (length > NAME_LIMIT) return 0;
  if (SANITIZED)
    demangle_or_leave(&work);
  else if (length <= SHORT_LIMIT)
    on_short_stack(&work);
  else
    on_long_stack(&work);
  return work.length;
}
