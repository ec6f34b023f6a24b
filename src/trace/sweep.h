/*
 * One module while it is looked at: its symbols become candidates, indirect functions are resolved, and what
 * remains is patched, or refused with a reason.
 *
 *   rf_sweep_collect (collect.c) ─▶ rf_indirect_resolve (indirect.c) ─▶ rf_sweep_collect_names ─▶ rf_sweep_patch (patching.c)
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/module.h"
#include "patch/branches.h"
#include "patch/labels.h"
#include "recording/writer.h"
#include "trace/full.h"
#include "trace/select.h"

struct rf_pattern_set;

/* A matched name at an address, or another one of the same code; several with one address are aliases of one
 * function. */
struct rf_candidate {
  uintptr_t address;
  uintptr_t symbol; /* another place where an IFUNC leads out of its module */
  char *name;
  bool global, ifunc, unasked;   /* unasked: no pattern matched this name */
  struct rf_full full;           /* what its patterns ask of it */
  uint16_t sets[RF_SELECT_SETS]; /* of rules; how many: next field */
  uint16_t set_count;
};

/* One module while it is looked at. */
struct rf_sweep {
  const struct rf_module *module;
  struct rf_candidate *candidates;
  size_t candidate_count, candidate_capacity;
  size_t asked_count;        /* of them, while others are added */
  struct rf_labels labels;   /* that lead into its code */
  struct rf_extent *extents; /* of every function, to know where the next one begins */
  size_t extent_count, extent_capacity;
  uint16_t *entered;               /* by candidate: which of its first bytes are branched to */
  struct rf_segment go;            /* what Go compiled */
  bool relocated, waiting;         /* waiting: its IFUNCs alone are looked at, once more */
  bool quiet;                      /* no other thread runs its code while it is patched */
  bool slotted;                    /* once more, for functions without room for a jump that slots lead to */
  struct rf_pattern_set *only;     /* other functions than these are left out; NULL: none is */
  const char *refusal;             /* why nothing of this process can be timed; NULL: it can */
  struct rf_select_change *change; /* what is being done for somebody who asked; NULL: nothing */
};

/* collect.c: the functions that patterns match, and all functions' extents. */
void rf_sweep_collect(struct rf_sweep *s);
/* Other names of the candidates' code; sorts extents, and candidates so that those of one address are neighbours. */
void rf_sweep_collect_names(struct rf_sweep *s);
/* Candidates with one address, from index on. */
size_t rf_sweep_aliases(const struct rf_sweep *s, size_t index);
/* Whether Go compiled what lies at address. */
bool rf_sweep_is_go(const struct rf_sweep *s, uintptr_t address);
void rf_sweep_drop(struct rf_sweep *s, size_t index);
void rf_sweep_free(struct rf_sweep *s);

/* indirect.c: puts what IFUNCs lead to in their place. Those of a library that is not relocated yet stand in
 * skipped[] until it is, and s->waiting says so. */
void rf_indirect_resolve(struct rf_sweep *s);
/* Of a library that is looked at again now (timed), or gone: its IFUNCs wait no longer. */
void rf_indirect_end(uintptr_t load_address, bool timed, struct rf_select_change *change);

/* patching.c: patches all candidates, or says in skipped[] why not. */
void rf_sweep_patch(struct rf_sweep *s);
/* Functions that were refused, and that slots were found to lead to; keep: drops all others. */
void rf_sweep_patch_slotted(struct rf_sweep *s);
void rf_sweep_keep_slotted(struct rf_sweep *s);
/* What nothing can be patched of stands in skipped[]; by_slots: until a slot is found that leads there. */
rf_ref rf_sweep_skip(const struct rf_sweep *s, const struct rf_candidate *first, const char *reason,
                     bool by_slots);
void rf_sweep_withdraw(struct rf_select_change *change, rf_ref skipped);
