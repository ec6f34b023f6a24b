/*
 * The library's own memory and string functions, hidden, under libc's names: compilers call these at will,
 * the linker binds them here, so Refunc's own copying and comparing never runs into a libc function that it
 * times or that is not relocated yet. General registers only, no TLS.
 */
#include <stddef.h>
#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden"), used))

HIDDEN void *memcpy(void *restrict to, const void *restrict from, size_t count);
HIDDEN void *memset(void *to, int byte, size_t count);
HIDDEN void *memmove(void *to, const void *from, size_t count);
HIDDEN int memcmp(const void *a, const void *b, size_t count);
HIDDEN size_t strlen(const char *text);
HIDDEN int strcmp(const char *a, const char *b);
HIDDEN int strncmp(const char *a, const char *b, size_t count);
HIDDEN char *strchr(const char *text, int byte);
HIDDEN char *strrchr(const char *text, int byte);
HIDDEN void *memchr(const void *block, int byte, size_t count);

void *memcpy(void *restrict to, const void *restrict from, size_t count) {
  void *result = to;
  __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(count)::"memory");
  return result;
}

void *memset(void *to, int byte, size_t count) {
  void *result = to;
  __asm__ volatile("rep stosb" : "+D"(to), "+c"(count) : "a"(byte) : "memory");
  return result;
}

void *memmove(void *to, const void *from, size_t count) {
  uintptr_t distance = (uintptr_t)to - (uintptr_t)from;
  if (distance >= count) return memcpy(to, from, count);
  char *t = (char *)to + count;
  const char *f = (const char *)from + count;
  while (count--) *--t = *--f;
  return to;
}

int memcmp(const void *a, const void *b, size_t count) {
  const unsigned char *x = a, *y = b;
  for (; count; count--, x++, y++)
    if (*x != *y) return *x - *y;
  return 0;
}

/* Eight bytes at a time: symbol tables are tens of megabytes of names. */
typedef uint64_t __attribute__((may_alias)) word;
#define EACH(byte) (UINT64_C(0x0101010101010101) * (unsigned char)(byte))

/* The lowest marked byte is the first zero byte; those above it may be marked wrongly. */
static inline uint64_t zero_bytes(uint64_t bytes) { return (bytes - EACH(1)) & ~bytes & EACH(0x80); }

static inline size_t first_marked(uint64_t marks) { return (size_t)__builtin_ctzll(marks) / 8; }

/* Aligned words never reach into another page. */
size_t strlen(const char *text) {
  const char *at = text;
  for (; (uintptr_t)at % 8; at++)
    if (!*at) return (size_t)(at - text);
  uint64_t marks;
  while (!(marks = zero_bytes(*(const word *)at))) at += 8;
  return (size_t)(at - text) + first_marked(marks);
}

int strcmp(const char *a, const char *b) {
  while (*a && *a == *b) a++, b++;
  return (unsigned char)*a - (unsigned char)*b;
}

int strncmp(const char *a, const char *b, size_t count) {
  for (; count && *a && *a == *b; count--) a++, b++;
  return count ? (unsigned char)*a - (unsigned char)*b : 0;
}

char *strchr(const char *text, int byte) {
  for (; (uintptr_t)text % 8; text++) {
    if (*text == (char)byte) return (char *)text;
    if (!*text) return NULL;
  }
  for (;; text += 8) {
    uint64_t bytes = *(const word *)text, marks = zero_bytes(bytes) | zero_bytes(bytes ^ EACH(byte));
    if (!marks) continue;
    text += first_marked(marks);
    return *text == (char)byte ? (char *)text : NULL;
  }
}

char *strrchr(const char *text, int byte) {
  const char *found = NULL;
  for (;; text++) {
    if (*text == (char)byte) found = text;
    if (!*text) return (char *)found;
  }
}

void *memchr(const void *block, int byte, size_t count) {
  const unsigned char *at = block;
  for (; count >= 8; count -= 8, at += 8) {
    uint64_t bytes;
    __builtin_memcpy(&bytes, at, sizeof bytes);
    uint64_t marks = zero_bytes(bytes ^ EACH(byte));
    if (marks) return (void *)(at + first_marked(marks));
  }
  for (; count; count--, at++)
    if (*at == (unsigned char)byte) return (void *)at;
  return NULL;
}
