/* See traced.h. */
#include "trace/traced.h"

#include <string.h>

#include "arch/entry.h"
#include "base/grow.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "elf/demangle.h"
#include "elf/module.h"
#include "elf/pattern.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "trace/address_index.h"
#include "trace/call.h"
#include "trace/callers.h"
#include "trace/pace.h"

#define PER_CHUNK 64
#define NAME_BYTES 4096

static struct rf_traced *list; /* by id */
static uint32_t count;
static size_t capacity;
static struct rf_address_index by_address; /* of those that are loaded, and of others */
static uint32_t unloaded;
static struct rf_lock ids;
static char block_module[] = "refunc.h";

uint64_t rf_traced_lock(void) {
  uint64_t mask = rf_signals_block();
  rf_lock_take(&ids);
  return mask;
}

void rf_traced_unlock(uint64_t mask) {
  rf_lock_give(&ids);
  rf_signals_restore(mask);
}

uint32_t rf_traced_count(void) { return count; }
struct rf_traced *rf_traced_at(uint32_t id) {
  return &list[id];
}

/* ---- recording them ---- */

rf_ref rf_traced_shown(const char *name) {
  char text[NAME_BYTES], source[NAME_BYTES];
  size_t base = rf_symbol_base_length(name);
  bool clone = name[base] != '\0' && base < sizeof source;
  if (clone) {
    memcpy(source, name, base);
    source[base] = '\0';
  }
  size_t length = rf_demangle(clone ? source : name, text, sizeof text);
  return length ? rf_recording_string(text, length) : clone ? rf_recording_string(source, base) : 0;
}

static uint32_t flags_of(const struct rf_traced *traced) {
  return traced->full.flags | traced->gone | (traced->by_slots ? RF_FUNCTION_SLOTS : 0);
}

static bool record_function(struct rf_traced *traced) {
  rf_ref *root = rf_recording_root(RF_TABLE_FUNCTION);
  struct rf_function_entry *entry = rf_table_append(root, RF_TABLE_FUNCTION, sizeof *entry, PER_CHUNK);
  if (!entry) return false;
  entry->name = rf_recording_text(traced->name);
  entry->demangled = traced->path == block_module ? 0 : rf_traced_shown(traced->name);
  entry->aliases = rf_recording_text(traced->aliases);
  entry->module = rf_recording_text(traced->module);
  entry->module_path = rf_recording_text(traced->path);
  entry->mode = traced->full.mode;
  entry->flags = flags_of(traced);
  entry->module_offset = traced->offset;
  entry->size = traced->size;
  entry->build_id_bytes = traced->build_id_bytes;
  memcpy(entry->build_id, traced->build_id, sizeof entry->build_id);
  traced->recorded = rf_recording_ref(entry);
  rf_table_publish(*root);
  return true;
}

void rf_traced_set_gone(uint32_t id, uint32_t gone) {
  struct rf_function_entry *entry = rf_recording_at(list[id].recorded);
  list[id].gone = gone;
  if (entry) entry->flags = flags_of(&list[id]);
}

/* One copy of a path for all functions of a module. */
static char *module_path(const struct rf_module *module) {
  const struct rf_traced *last = count ? &list[count - 1] : NULL;
  return last && !strcmp(last->path, module->path) ? last->path : rf_strdup(module->path);
}

static char *module_name(const struct rf_module *module) {
  const struct rf_traced *last = count ? &list[count - 1] : NULL;
  return last && !strcmp(last->module, module->name) ? last->module : rf_strdup(module->name);
}

bool rf_traced_add(const struct rf_module *module, struct rf_traced fresh) {
  struct rf_traced *grown = rf_grow(list, count, &capacity, sizeof *grown);
  if (!grown) return false;
  list = grown;
  fresh.path = module_path(module);
  fresh.module = module_name(module);
  fresh.load_address = module->load_address;
  fresh.build_id_bytes = module->build_id_bytes;
  memcpy(fresh.build_id, module->build_id, sizeof fresh.build_id);
  list[count] = fresh;
  if (!fresh.name || !fresh.path || !fresh.module || !record_function(&list[count]) ||
      !rf_address_index_put(&by_address, fresh.address, count))
    return false;
  count++;
  return true;
}

/* ---- finding them again ---- */

uint32_t rf_traced_find(uintptr_t address) {
  uint32_t id = rf_address_index_find(&by_address, address);
  return id != UINT32_MAX && list[id].address == address ? id : UINT32_MAX;
}

static bool was_unloaded(const struct rf_traced *traced, const struct rf_module *module, uint64_t offset,
                         const char *name) {
  return traced->gone & RF_FUNCTION_UNLOADED && traced->offset == offset &&
         !strcmp(traced->path, module->path) && !strcmp(traced->name, name) &&
         !memcmp(traced->build_id, module->build_id, sizeof traced->build_id);
}

/* Functions mostly come back in the order in which they got their ids, so the search begins behind the last
 * one found. */
uint32_t rf_traced_find_unloaded(const struct rf_module *module, uint64_t offset, const char *name) {
  static uint32_t last;
  for (uint32_t i = 0; unloaded && i < count; i++) {
    uint32_t id = (last + 1 + i) % count;
    if (was_unloaded(&list[id], module, offset, name)) return last = id;
  }
  return UINT32_MAX;
}

bool rf_traced_come_back(uint32_t id, const struct rf_module *module, uintptr_t address) {
  list[id].address = address;
  list[id].load_address = module->load_address;
  unloaded--;
  rf_traced_set_gone(id, 0);
  return rf_address_index_put(&by_address, address, id);
}

void rf_traced_unload(uint32_t id) {
  list[id].address = 0;
  unloaded++;
  rf_traced_set_gone(id, list[id].gone | RF_FUNCTION_UNLOADED);
}

/* ---- what follows from there being more ---- */

/* Countdowns cost every thread 8 bytes each, so there are not many more than functions found at the start;
 * what comes later than that is timed at every call. */
static void settle_countdowns(void) {
  static bool settled;
  if (settled || !rf_pace_active()) return;
  settled = true;
  rf_countdowns_settle(count + (count / 4 > 2048 ? count / 4 : 2048));
}

/* Tables take turns, since threads may still be reading an earlier one. What is outgrown stays, each twice
 * the one before. */
static struct rf_code_range *room_for_callers(void) {
  enum { TURNS = 8 };
  static struct rf_code_range *tables[TURNS];
  static size_t room[TURNS];
  static unsigned turn;
  turn = (turn + 1) % TURNS;
  if (count <= room[turn]) return tables[turn];
  size_t wanted = room[turn] ? room[turn] * 2 : 128;
  while (wanted < count) wanted *= 2;
  struct rf_code_range *fresh = rf_pages(wanted * sizeof *fresh);
  if (!fresh) return NULL;
  room[turn] = wanted;
  return tables[turn] = fresh;
}

static int by_start(const void *a, const void *b) {
  uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
  return x < y ? -1 : x > y;
}

static void publish_callers(void) {
  if (!count) return;
  struct rf_code_range *ranges = room_for_callers();
  if (!ranges) return;
  size_t found = 0;
  for (uint32_t i = 0; i < count; i++)
    if (list[i].address)
      ranges[found++] = (struct rf_code_range){list[i].address, list[i].address + list[i].size, i};
  rf_sort(ranges, found, sizeof *ranges, by_start);
  rf_callers_publish(ranges, found);
}

void rf_traced_publish(void) {
  uint64_t mask = rf_traced_lock();
  rf_calls_set_function_count(count);
  publish_callers();
  settle_countdowns();
  rf_traced_unlock(mask);
}

/* ---- named blocks: ids without code ---- */

static uint32_t named_before(const char *name) {
  for (uint32_t i = 0; i < count; i++)
    if (list[i].path == block_module && !strcmp(list[i].name, name)) return i;
  return UINT32_MAX;
}

static uint32_t add_block(const char *name) {
  uint32_t id = named_before(name);
  if (id != UINT32_MAX) return id;
  if (!rf_sites) rf_sites = rf_pages(RF_MOST_FUNCTIONS * sizeof *rf_sites);
  struct rf_traced *grown = rf_grow(list, count, &capacity, sizeof *grown);
  if (!grown || !rf_sites || count >= RF_MOST_FUNCTIONS) return UINT32_MAX;
  list = grown;
  list[count] = (struct rf_traced){
      .name = rf_strdup(name), .path = block_module, .module = block_module, .full.flags = RF_FUNCTION_BLOCK};
  if (!list[count].name || !record_function(&list[count])) return UINT32_MAX;
  rf_calls_set_function_count(++count);
  return count - 1;
}

uint32_t rf_traced_add_block(const char *name) {
  uint64_t mask = rf_traced_lock();
  uint32_t id = add_block(name);
  rf_traced_unlock(mask);
  return id;
}

void rf_traced_record_again(void) {
  ids = (struct rf_lock){0}; /* whoever held it is not in the child */
  for (uint32_t i = 0; i < count; i++) record_function(&list[i]);
}
