/* base/memory.h over the C library's heap, so that AddressSanitizer sees every overflow of a block and every
 * use after its end. */
#include "base/memory.h"

#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *rf_malloc(size_t bytes) { return malloc(bytes); }
void *rf_calloc(size_t count, size_t bytes) { return calloc(count, bytes); }
void rf_free(void *block) { free(block); }
size_t rf_usable_size(const void *block) { return malloc_usable_size((void *)block); }
void *rf_memalign(size_t alignment, size_t bytes) { return aligned_alloc(alignment, bytes); }
char *rf_strdup(const char *text) { return strdup(text); }
char *rf_strndup(const char *text, size_t length) { return strndup(text, length); }
void *rf_pages(size_t bytes) { return calloc(1, bytes); }
size_t rf_memory_bytes(void) { return 0; }
uintptr_t rf_owned_low, rf_owned_high = UINTPTR_MAX; /* every block is ours */
bool rf_owns_exactly(uintptr_t block) { return block != 0; }

void rf_pages_free(void *start, size_t bytes) {
  (void)bytes;
  free(start);
}

void *rf_realloc(void *block, size_t bytes) {
  if (bytes) return realloc(block, bytes);
  free(block);
  return NULL;
}

char *rf_asprintf(const char *format, ...) {
  va_list arguments;
  char *text;
  va_start(arguments, format);
  int length = vasprintf(&text, format, arguments);
  va_end(arguments);
  return length < 0 ? NULL : text;
}
