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

size_t strlen(const char *text) {
  const char *end = text;
  while (*end) end++;
  return (size_t)(end - text);
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
  for (;; text++) {
    if (*text == (char)byte) return (char *)text;
    if (!*text) return NULL;
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
  for (const unsigned char *at = block; count; count--, at++)
    if (*at == (unsigned char)byte) return (void *)at;
  return NULL;
}
