/*
 * What rules, spans and kept calls cost, for the report's statement of Refunc's own cost.
 *
 *   entry   a share of the calls is timed, since two clock reads take longer than most rules: after a cheap one the
 *           next follows at random, RF_COST_SHARE calls later on average, and stands for that many; after a dear
 *           one (an array, a long string) every call is timed
 *   return  every call is timed: the clock is read there anyway
 *
 * What the way there costs (registers saved and put back) can't be seen from inside: it is measured at start
 * and added to each. General registers only; a slot is written by its own thread alone.
 */
#pragma once

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/thread.h"
#include "recording/format.h"
#include "trace/pace.h"

#define RF_COST_SHARE 32u
#define RF_COST_DEAR 2000u /* cycles */

struct rf_rules_cost {
  uint32_t enter, leave; /* cycles of the way there, for a call whose arguments, result are looked at */
};
extern struct rf_rules_cost rf_rules_cost __attribute__((visibility("hidden")));

/* 0: this call is not timed. */
static inline uint64_t rf_cost_begin(struct rf_slot *slot) {
  if (__builtin_expect(slot->cost_gap != 0, 1)) {
    slot->cost_gap--;
    return 0;
  }
  return rf_cycles();
}

/* What took long is not the caller's own time. While calls are thinned nobody knows the caller yet; cheap
 * rules are left in its time, as they always are. */
static inline void rf_cost_spare_caller(struct rf_record *record, uint64_t spent) {
  if (spent > RF_COST_DEAR && !(record->flags & RF_RECORD_FOREIGN) && !rf_tls.self->thinning)
    record[-1].child += spent;
}

/* Once for each rf_cost_begin() that was not 0. A cheap function's call that took very long was interrupted:
 * it stands for itself alone. */
static inline void rf_cost_end(struct rf_record *record, uint64_t began, uint64_t now) {
  struct rf_slot *slot = record->slot;
  uint64_t spent = now > began ? now - began : 0, weight = slot->cost_weight;
  if (!weight || spent > RF_COST_DEAR * RF_COST_SHARE) weight = 1;
  slot->rules_cycles += weight * (spent + rf_rules_cost.enter);
  bool dear = spent > RF_COST_DEAR;
  slot->cost_weight = dear ? 1 : RF_COST_SHARE;
  slot->cost_gap = dear ? 0 : (uint32_t)(rf_pace_draw(rf_tls.self) * (2 * RF_COST_SHARE - 1) >> 32);
  rf_cost_spare_caller(record, spent);
}

static inline void rf_cost_add_return(struct rf_record *record, uint64_t spent) {
  record->slot->rules_cycles += spent + rf_rules_cost.leave;
  rf_cost_spare_caller(record, spent);
}
