/* See unmatched.h. */
#include "trace/unmatched.h"

#include "elf/module.h"
#include "recording/writer.h"

#define PER_CHUNK 64

static bool feed_symbol(void *user, const struct rf_symbol *symbol) {
  rf_nearest_search_feed(user, symbol->name);
  return true;
}

static bool feed_module(void *user, const struct rf_module *module) {
  rf_symbols_visit(module, feed_symbol, user, NULL);
  return true;
}

void rf_unmatched_look(struct rf_nearest_names *const *names, size_t count) {
  struct rf_nearest_search *search = rf_nearest_search_new(names, count);
  if (search) rf_modules_visit(feed_module, search);
  rf_nearest_search_free(search);
}

rf_ref rf_unmatched_record(const char *pattern, struct rf_nearest_names *names) {
  rf_ref *root = rf_recording_root(RF_TABLE_UNMATCHED);
  struct rf_unmatched_entry *entry = rf_table_append(root, RF_TABLE_UNMATCHED, sizeof *entry, PER_CHUNK);
  if (!entry) return 0;
  if (names) entry->nearest = rf_recording_text(rf_nearest_names_result(names));
  entry->reason = rf_recording_text("no function of a loaded module has a name like this");
  entry->pattern = rf_recording_text(pattern);
  rf_table_publish(*root);
  return rf_recording_ref(entry);
}

void rf_unmatched_withdraw(rf_ref *unmatched) {
  struct rf_unmatched_entry *entry = rf_recording_at(*unmatched);
  if (entry) entry->pattern = 0;
  *unmatched = 0;
}
