/*
 * See demangle.h. libiberty's callback interface needs no heap; its output arrives in pieces of up to 256
 * bytes. A mangled name of a few hundred bytes may stand for gigabytes (substitutions that double), so the
 * first piece that does not fit ends the work by a jump out of the library: it holds nothing that would have
 * to be given back.
 */
#include "elf/demangle.h"

#include <libiberty/demangle.h>
#include <stdbool.h>
#include <string.h>

#define NAME_LIMIT 16384

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
static bool demangle(const char *name, struct output *output) {
  if (rust_demangle_callback(name, DMGL_NO_OPTS, take, output)) return true;
  output->length = 0;
  return name[1] == 'Z' &&
         cplus_demangle_v3_callback(name, DMGL_PARAMS | DMGL_ANSI | DMGL_RET_DROP, take, output);
}

__attribute__((noinline)) static size_t demangle_or_leave(const char *name, char *buffer, size_t size) {
  struct output output = {.buffer = buffer, .size = size};
  if (__builtin_setjmp(output.jump) != 0) return 0;
  if (!demangle(name, &output)) return 0;
  buffer[output.length] = '\0';
  return output.length;
}

size_t rf_demangle(const char *name, char *buffer, size_t size) {
  if (name[0] != '_' || (name[1] != 'Z' && name[1] != 'R') || size == 0) return 0;
  if (strnlen(name, NAME_LIMIT + 1) > NAME_LIMIT) return 0;
  return demangle_or_leave(name, buffer, size);
}
