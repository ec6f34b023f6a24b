/*
 * The patcher: plans the stubs of many functions, then commits them at once, so that nothing is half done and stub pages are
 * never writable and executable together.
 *
 *   open ─▶ add (function) ... ─▶ commit: stub pages become executable, then every jump is written ─▶ close
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "patch/branches.h"

struct rf_patch_request {
  uintptr_t address;
  size_t size;            /* 0: unknown */
  size_t limit;           /* bytes up to the next function or the end of the segment */
  uint32_t id;            /* what the stub hands to the entry */
  const void *entry;
  const void *countdown;  /* see arch/stub.h; NULL: every call goes to entry */
  uintptr_t low, high;    /* its module's code */
  const struct rf_module *module; /* for its call frame information; may be NULL */
  uint16_t entered;       /* bit n: something branches to its byte n (patch/branches.h) */
  const struct rf_extent *functions; /* the module's, sorted, for padding between them; may be NULL */
  size_t function_count;
};

struct rf_patch; /* one patched function */

/* NULL, or why nothing can be patched. */
const char *rf_patch_open(void);
/* Plans one. NULL, or the reason for the refusal. *body: where its relocated beginning will run. */
const char *rf_patch_add(const struct rf_patch_request *request, uintptr_t *body);
/* Makes the plans true; answers how many jumps could not be written (each is told to failed with the reason). */
size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user);
void rf_patch_close(void);

/*
 * Puts entry in the place of a function that does nothing (the loader's notification): no decoder is needed. false when the
 * function is not just a return with room behind it, or there is no page near.
 */
bool rf_patch_notifier(uintptr_t address, const void *entry);
