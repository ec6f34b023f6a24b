/* See seen.h. Libraries that are closed leave their addresses to the same one, or another, unpatched. */
#include "trace/seen.h"

#include <string.h>

#include "base/grow.h"
#include "base/memory.h"
#include "elf/module.h"

static struct rf_seen *list;
static size_t count, capacity;
static uint32_t sweep;

struct rf_seen *rf_seen_find(const struct rf_module *module) {
  for (size_t i = 0; i < count; i++)
    if (list[i].load_address == module->load_address && !strcmp(list[i].path, module->path)) return &list[i];
  return NULL;
}

static bool meet(void *user, const struct rf_module *module) {
  (void)user;
  struct rf_seen *seen = rf_seen_find(module);
  if (seen) {
    seen->sweep = sweep;
    return true;
  }
  struct rf_seen *grown = rf_grow(list, count, &capacity, sizeof *grown);
  char *path = grown ? rf_strdup(module->path) : NULL;
  if (!path) return true;
  list = grown;
  list[count++] = (struct rf_seen){.load_address = module->load_address,
                                   .text_start = module->text_start,
                                   .text_end = module->text_end,
                                   .path = path,
                                   .first_sweep = sweep,
                                   .sweep = sweep};
  return true;
}

void rf_seen_meet(void) {
  sweep++;
  rf_modules_visit(meet, NULL);
}

void rf_seen_forget_closed(void (*forget)(const struct rf_seen *seen)) {
  for (size_t i = 0; i < count; i++) {
    if (list[i].sweep == sweep) continue;
    forget(&list[i]);
    rf_free(list[i].path);
    list[i--] = list[--count];
  }
}

bool rf_seen_is_new(const struct rf_seen *seen) { return seen->first_sweep == sweep; }
bool rf_seen_is_initial(const struct rf_seen *seen) { return seen->first_sweep == 1; }
bool rf_seen_is_quiet(const struct rf_seen *seen) { return seen->first_sweep + 1 >= sweep; }
bool rf_seen_is_settled(const struct rf_seen *seen) {
  return seen->first_sweep == 1 || seen->first_sweep + 1 < sweep;
}
