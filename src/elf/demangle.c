/*
 * See demangle.h. libiberty's callback interface needs no heap, but
 *
 * - a mangled name of a few hundred bytes may stand for gigabytes (substitutions that double): the first
 * piece of output that does not fit ends the work by a jump out of the library, which holds nothing that
 * would have to be given back;
 * - it takes 64 bytes of stack for each byte of a name and recurses, so it works on a stack of our own: a
 * small one for names that fit libiberty's own limits, where it was seen to take 0.4 MB at most, a large one
 * for names beyond them (3.5 MB).
 */
#include "elf/demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <string.h>

#include "elf/spare_stack.h"

#define NAME_LIMIT 16384
#define SHORT_LIMIT 1000 /* longer ones exceed libiberty's recursion limit */
#define LONG_STACK ((size_t)16 << 20)

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
  if (length == 0) return; /* then there is no piece either */
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

size_t rf_demangle(const char *name, char *buffer, size_t size) {
  if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') || size == 0) return 0;
  size_t length = strnlen(name, NAME_LIMIT + 1);
  struct work work = {.name = name, .options = DMGL_NO_OPTS, .buffer = buffer, .size = size};
  if (length > NAME_LIMIT) return 0;
  bool is_long = length > SHORT_LIMIT;
  if (is_long) work.options |= DMGL_NO_RECURSE_LIMIT;
  if (!rf_on_spare_stack(is_long ? LONG_STACK : RF_SPARE_STACK, demangle_or_leave, &work)) return 0;
  return work.length;
}
