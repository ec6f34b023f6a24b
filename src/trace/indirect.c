/* Indirect functions (IFUNC): what is timed is the function that their resolver chooses. */
#include "base/grow.h"
#include "patch/slots.h"
#include "trace/refuse.h"
#include "trace/sweep.h"
#include "trace/traced.h"

/* An IFUNC that stands in skipped[] until its library is relocated. */
static struct waiting_ifunc {
  uintptr_t load_address;
  rf_ref skipped;
} * waiting;
static size_t waiting_count, waiting_capacity;

static const char *resolve_ifunc(const struct rf_sweep *s, struct rf_candidate *candidate) {
  if (!s->relocated) return "an indirect function of a library that is not relocated yet";
  uintptr_t (*resolver)(void) = (uintptr_t(*)(void))candidate->address;
  candidate->address = resolver();
  candidate->ifunc = false;
  if (rf_vdso_bytes(candidate->address)) {
    bool known = s->slotted || rf_traced_find(candidate->address) != UINT32_MAX;
    return known ? NULL : "its indirect function leads into the kernel's vDSO";
  }
  uintptr_t start = s->module->text_start, end = s->module->text_end;
  if (candidate->address < start || candidate->address >= end)
    return "its indirect function leads to another module";
  candidate->symbol = candidate->address;
  return NULL;
}

static void await_relocation(struct rf_sweep *s, rf_ref skipped) {
  struct waiting_ifunc *list = rf_grow(waiting, waiting_count, &waiting_capacity, sizeof *list);
  if (!list) return;
  waiting = list;
  list[waiting_count++] = (struct waiting_ifunc){s->module->load_address, skipped};
  s->waiting = true;
}

/* Those that stood in skipped[] for want of relocation are looked at now, or their library is gone. */
void rf_indirect_end(uintptr_t load_address, bool timed, struct rf_select_change *change) {
  for (size_t i = 0; i < waiting_count; i++) {
    if (waiting[i].load_address != load_address) continue;
    if (timed) rf_sweep_withdraw(change, waiting[i].skipped);
    waiting[i--] = waiting[--waiting_count];
  }
}

void rf_indirect_resolve(struct rf_sweep *s) {
  bool only_indirect = s->waiting;
  s->waiting = false;
  for (size_t i = 0; i < s->candidate_count; i++) {
    struct rf_candidate *candidate = &s->candidates[i];
    if (!candidate->ifunc) {
      if (only_indirect) rf_sweep_drop(s, i--);
      continue;
    }
    const char *reason = rf_refuse_name(s->module->name, candidate->name);
    bool refused = reason != NULL;
    if (!reason) reason = resolve_ifunc(s, candidate);
    if (!reason) continue;
    if (!s->slotted) {
      rf_ref skipped = rf_sweep_skip(s, candidate, reason, !refused && rf_vdso_bytes(candidate->address));
      if (!refused && !s->relocated) await_relocation(s, skipped);
    }
    rf_sweep_drop(s, i--);
  }
}
