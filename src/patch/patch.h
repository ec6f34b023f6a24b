/*
 * The patcher: plans the stubs of many functions, then commits them at once, so that nothing is half done and
 * stub pages are never writable and executable together.
 *
 *   open ─▶ add (function) ... ─▶ commit: stub pages become executable, then every jump is written ─▶ close
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/change.h"
#include "patch/branches.h"

struct rf_patch_request {
  uintptr_t address;
  size_t size;  /* 0: unknown */
  size_t limit; /* bytes up to the next function or the end of the segment */
  uint32_t id;  /* what the stub hands to the entry */
  const void *entry;
  const void *countdown;             /* see arch/stub.h; NULL: every call goes to entry */
  uintptr_t low, high;               /* its module's code */
  const struct rf_module *module;    /* for its call frame information; may be NULL */
  uint16_t entered;                  /* bit n: something branches to its byte n (patch/branches.h) */
  const struct rf_extent *functions; /* the module's, sorted, for padding between them; may be NULL */
  size_t function_count;
  const struct rf_branch_list *branches; /* into all that is within RF_PATCH_AREA of it; NULL: not known */
  const uintptr_t *scarce;               /* functions in there that need room themselves, sorted */
  size_t scarce_count;
  bool quiet;     /* no thread runs the module's code yet: it may be written in large pieces */
  bool anonymous; /* the id is none of a function's: it is never restored */
};

/* NULL, or why nothing can be patched. */
const char *rf_patch_open(void);
struct rf_patched {
  uintptr_t body; /* where its relocated beginning will run */
  uintptr_t stub; /* of rf_patch_add_through */
  bool scarce;    /* refused for want of room or for branches: it may be accepted once branches are known */
  bool by_slots;  /* refused for what its code looks like: calls may be led to a stub where they come from */
};

/* How far from a function a landing may lie with the run of instructions that makes room for it: 133 bytes to
 * a short branch that is turned, 120 from there, and the run. */
#define RF_PATCH_AREA 384

/* Plans one. NULL, or the reason for the refusal. */
const char *rf_patch_add(const struct rf_patch_request *request, struct rf_patched *patched);
/* Plans a stub for a function whose code stays as it is: who is led to the stub is the caller's to arrange
 * (patch/slots.h). NULL, or the reason for the refusal. */
const char *rf_patch_add_through(const struct rf_patch_request *request, struct rf_patched *patched);
/* A moved beginning of a patched function; goes_on: it comes back behind itself. */
struct rf_patch_window {
  uintptr_t start, end;
  bool goes_on;
};

/* Those that lie in these bytes, at most most. Cost: about 2 ns a patched function. */
size_t rf_patch_windows(uintptr_t start, uintptr_t end, struct rf_patch_window *windows, size_t most);
/* The code of all stubs. */
void rf_patch_visit_stubs(void (*visit)(void *user, uintptr_t start, uintptr_t end), void *user);
/* Whether a stub may run: it was committed or exported, and its pages could be made executable. */
bool rf_patch_is_ready(uintptr_t stub);
/* Whether this is where a jump of ours leads. */
bool rf_patch_is_stub(uintptr_t address);
/* Makes the plans true; answers how many jumps could not be written (each is told to failed with the reason).
 */
size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user);
void rf_patch_close(void);

/* For functions of a process that runs: plans a patched function's own bytes, or its jump once more. Nothing
 * for one whose code stays. */
void rf_patch_restore(uint32_t id);
void rf_patch_repeat(uint32_t id);
/* Instead of committing: what is planned as a list to be written by somebody who has stopped all threads.
 * Valid until the next one. NULL and *count 0: nothing, or no memory. */
const struct rf_change_edit *rf_patch_export(size_t *count);
/* The function's code is gone, and the room of its stub may be used again once that is true of all in its
 * region. */
void rf_patch_forget(uint32_t id);
/* Code that is gone: what lay in its padding. */
void rf_patch_forget_code(uintptr_t low, uintptr_t high);

/*
 * Puts entry in the place of a function that does nothing (the loader's notification): no decoder is needed.
 * false when the function is not just a return with room behind it, or there is no page near.
 */
bool rf_patch_notifier(uintptr_t address, const void *entry);
