/* See hidden.h. */
#include "report/hidden.h"

#include <elf.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_BYTES ((uint64_t)64 << 20)
#define MOST_EXECUTABLES 16

/* What the allocators would say, and where "malloc" stands in it. */
static const struct {
  const char *allocator, *message;
  size_t offset;
} messages[] = {{"jemalloc", "<jemalloc>: ", 3},
                {"tcmalloc", "tcmalloc: large alloc ", 2},
                {"mimalloc", "mimalloc: warning: ", 2}};

static const char *speaker(const char *at, const char *start, const char *end) {
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
    size_t length = strlen(messages[i].message), before = messages[i].offset;
    if ((size_t)(at - start) >= before && (size_t)(end - at) >= length - before &&
        !memcmp(at - before, messages[i].message, length))
      return messages[i].allocator;
  }
  return NULL;
}

static const char *allocator_in(const char *bytes, size_t size) {
  static const char word[] = "malloc";
  const char *end = bytes + size, *found = NULL;
  for (const char *at = bytes; !found && (at = memmem(at, (size_t)(end - at), word, sizeof word - 1)); at++)
    found = speaker(at, bytes, end);
  return found;
}

static bool read_at(int fd, uint64_t offset, void *to, size_t bytes) {
  return offset <= INT64_MAX && pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Where its constants lie: .rodata. The file is not trusted. */
static bool find_constants(int fd, Elf64_Shdr *constants) {
  Elf64_Ehdr header;
  Elf64_Shdr names;
  char name[sizeof ".rodata"];
  if (!read_at(fd, 0, &header, sizeof header) || memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
      header.e_shentsize != sizeof names || header.e_shstrndx >= header.e_shnum ||
      !read_at(fd, header.e_shoff + header.e_shstrndx * sizeof names, &names, sizeof names))
    return false;
  for (unsigned i = 0; i < header.e_shnum; i++)
    if (read_at(fd, header.e_shoff + i * sizeof names, constants, sizeof *constants) &&
        read_at(fd, names.sh_offset + constants->sh_name, name, sizeof name) &&
        !memcmp(name, ".rodata", sizeof name))
      return constants->sh_type == SHT_PROGBITS && constants->sh_size <= MOST_BYTES;
  return false;
}

/* Read instead of mapped: a file that is cut meanwhile raises no signal. */
static const char *allocator_of(const char *path) {
  Elf64_Shdr constants;
  const char *found = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return NULL;
  char *bytes = find_constants(fd, &constants) ? malloc(constants.sh_size + 1) : NULL;
  if (bytes && read_at(fd, constants.sh_offset, bytes, constants.sh_size))
    found = allocator_in(bytes, constants.sh_size);
  free(bytes);
  close(fd);
  return found;
}

static bool looked_at(const struct rf_report *report, size_t index) {
  for (size_t i = 0; i < index; i++)
    if (!strcmp(report->process[i].exe, report->process[index].exe)) return true;
  return false;
}

void rf_report_hidden_allocators(struct rf_report *report) {
  struct rf_report_heap *heap = &report->heap;
  bool only_glibc = !strncmp(heap->allocator, "glibc ", 6) && !strchr(heap->allocator, ',');
  for (size_t i = 0; only_glibc && i < report->processes && i < MOST_EXECUTABLES; i++) {
    const char *exe = report->process[i].exe, *slash = strrchr(exe, '/');
    const char *allocator = looked_at(report, i) ? NULL : allocator_of(exe);
    if (!allocator) continue;
    struct rf_report_unseen *unseen =
        rf_arena_push(report->arena, &heap->unseen, heap->unseens, sizeof *unseen);
    unseen->module = rf_arena_text(report->arena, slash ? slash + 1 : exe);
    unseen->reason =
        rf_arena_printf(report->arena, "it has %s in it, whose functions have no names", allocator);
    heap->unseens++;
  }
}
