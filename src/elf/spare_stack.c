/* See spare_stack.h. */
#include "elf/spare_stack.h"

#include <sys/mman.h>

#include "arch/arch.h"
#include "base/memory.h"

#define GUARD_BYTES ((size_t)65536)

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

static char *kept; /* RF_SPARE_STACK bytes; NULL: none yet, or in use */

static char *new_stack(size_t bytes) {
  char *stack = rf_pages(bytes);
  if (stack) rf_syscall(SYS_mprotect, stack, GUARD_BYTES, PROT_NONE);
  return stack;
}

static char *take(size_t bytes) {
  char *stack = bytes == RF_SPARE_STACK ? __atomic_exchange_n(&kept, NULL, __ATOMIC_ACQUIRE) : NULL;
  return stack ? stack : new_stack(bytes);
}

static void give(char *stack, size_t bytes) {
  char *none = NULL;
  bool keep = bytes == RF_SPARE_STACK &&
              __atomic_compare_exchange_n(&kept, &none, stack, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
  if (!keep) rf_pages_free(stack, bytes);
}

bool rf_on_spare_stack(size_t bytes, void (*body)(void *), void *argument) {
  if (SANITIZED) {
    body(argument);
    return true;
  }
  char *stack = take(bytes);
  if (!stack) return false;
  rf_call_on_stack(stack + bytes, body, argument);
  give(stack, bytes);
  return true;
}
