/* On what kinds of machines two sets of runs were taken: what differs can be why times do. The first run
 * speaks for its set. */
#include <string.h>

#include "report/compare.h"

struct trait {
  const char *key, *base, *fresh; /* "": not known */
};

static void add(struct rf_comparison *c, const struct trait *trait) {
  if (strcmp(trait->base, trait->fresh) == 0) return;
  struct rf_difference *fresh = rf_arena_push(c->arena, &c->difference, c->differences++, sizeof *fresh);
  *fresh = (struct rf_difference){trait->key, trait->base, trait->fresh};
}

static const char *shown(struct rf_arena *arena, double value) {
  return isnan(value) ? "" : rf_arena_printf(arena, "%.12g", value);
}

/* Reports of older versions know less: that is no difference. */
static bool both_known(const struct trait *trait) { return *trait->base && *trait->fresh; }

/* Where one side has no limit at all, its report has none to tell. */
static void compare_limits(struct rf_comparison *c, const struct rf_report *base,
                           const struct rf_report *fresh) {
  if (!*base->libc_version || !*fresh->libc_version) return; /* of a version that knew of no limits */
  if (isnan(base->cpu_limit) && isnan(fresh->cpu_limit)) return;
  const char *low = shown(c->arena, base->cpu_limit), *high = shown(c->arena, fresh->cpu_limit);
  add(c, &(struct trait){"cpu_limit", *low ? low : "none", *high ? high : "none"});
}

void rf_compare_machines(struct rf_comparison *c, const struct rf_report *base,
                         const struct rf_report *fresh) {
  const struct trait traits[] = {
      {"cpu_model", base->cpu_model, fresh->cpu_model},
      {"cpu_count", shown(c->arena, base->cpu_count), shown(c->arena, fresh->cpu_count)},
      {"cpu_governor", base->cpu_governor, fresh->cpu_governor},
      {"memory_bytes", shown(c->arena, base->memory_bytes), shown(c->arena, fresh->memory_bytes)},
      {"kernel", base->kernel, fresh->kernel},
      {"os", base->os, fresh->os},
      {"libc_version", base->libc_version, fresh->libc_version},
      {"transparent_huge_pages", base->transparent_huge_pages, fresh->transparent_huge_pages},
      {"virtual_machine", base->virtual_machine, fresh->virtual_machine},
      {"refunc_version", base->refunc_version, fresh->refunc_version}};
  for (size_t i = 0; i < sizeof traits / sizeof *traits; i++)
    if (both_known(&traits[i])) add(c, &traits[i]);
  compare_limits(c, base, fresh);
}
