/* From candidates to functions[] and skipped[]: a stub for each, or a reason. */
#include <string.h>

#include "arch/entry.h"
#include "base/memory.h"
#include "patch/patch.h"
#include "patch/slots.h"
#include "recording/threads.h"
#include "trace/pace.h"
#include "trace/refuse.h"
#include "trace/sweep.h"
#include "trace/traced.h"
#include "trace/wishes.h"

#define PER_CHUNK 64
#define NAME_BYTES 4096
#define MOST_SEGMENTS 16

static char *alias_text(const struct rf_candidate *first, size_t count) {
  char text[NAME_BYTES];
  size_t used = 0;
  for (size_t i = 1; i < count; i++) {
    size_t length = strlen(first[i].name);
    if (!strcmp(first[i].name, first[i - 1].name) || !strcmp(first[i].name, first->name)) continue;
    if (used + length + 2 > sizeof text) break;
    if (used) text[used++] = '\n';
    memcpy(text + used, first[i].name, length);
    used += length;
  }
  return used ? rf_strndup(text, used) : NULL;
}

static rf_ref record_skipped(const struct rf_sweep *s, const char *name, const char *reason) {
  if (s->change) {
    s->change->skipped++;
    s->change->reason = reason;
  }
  rf_ref *root = rf_recording_root(RF_TABLE_SKIPPED);
  struct rf_skipped_entry *entry = rf_table_append(root, RF_TABLE_SKIPPED, sizeof *entry, PER_CHUNK);
  if (!entry) return 0;
  rf_ref shown = rf_traced_shown(name);
  entry->name = shown ? shown : rf_recording_text(name);
  entry->module = rf_recording_text(s->module->name);
  entry->reason = rf_recording_text(reason);
  rf_table_publish(*root);
  return rf_recording_ref(entry);
}

void rf_sweep_withdraw(struct rf_select_change *change, rf_ref skipped) {
  struct rf_skipped_entry *entry = skipped ? rf_recording_at(skipped) : NULL;
  if (!entry) return;
  entry->name = 0;
  if (change && change->skipped) change->skipped--;
}

static struct rf_full full_of_aliases(const struct rf_candidate *first, size_t count) {
  struct rf_full full = first->full;
  for (size_t i = 1; i < count; i++) {
    full.flags |= first[i].full.flags;
    if (!full.own_share) full.own_share = first[i].full.own_share;
    full.every_call |= first[i].full.every_call;
  }
  return full;
}

/* Behind the segment that holds address: between segments nothing may be mapped. */
static uintptr_t segment_end(const struct rf_module *module, uintptr_t address) {
  struct rf_segment segments[MOST_SEGMENTS];
  size_t count = rf_module_text_segments(module, segments, MOST_SEGMENTS);
  for (size_t i = 0; i < count; i++)
    if (address - segments[i].start < segments[i].end - segments[i].start) return segments[i].end;
  return address;
}

/* The last extent at or before address, and from it the function's size and the distance to the next
 * function. */
static size_t size_of(const struct rf_sweep *s, uintptr_t address, size_t *limit) {
  size_t low = rf_extent_from(s->extents, s->extent_count, address), size = 0;
  for (; low < s->extent_count && s->extents[low].address == address; low++)
    if (s->extents[low].size > size) size = s->extents[low].size;
  uintptr_t end = segment_end(s->module, address);
  if (low < s->extent_count && s->extents[low].address < end) end = s->extents[low].address;
  *limit = end > address ? end - address : 0;
  return size;
}

/* From the module's load address, by which it is known in other processes. A resolver may be timed as the
 * function that it is, so what it leads to out of the module is told apart. */
static uint64_t rf_sweep_offset(const struct rf_sweep *s, const struct rf_candidate *c) {
  return c->symbol - s->module->load_address + (c->symbol != c->address);
}

/* The id that it had before its library was closed, or UINT32_MAX. */
static uint32_t find_unloaded(const struct rf_sweep *s, const struct rf_candidate *first) {
  return rf_traced_find_unloaded(s->module, rf_sweep_offset(s, first), first->name);
}

/* One that was timed by slots before its library was closed does not stand in skipped[]. */
rf_ref rf_sweep_skip(const struct rf_sweep *s, const struct rf_candidate *first, const char *reason,
                     bool by_slots) {
  if (rf_vdso_bytes(first->address) && rf_traced_find(first->address) != UINT32_MAX)
    return 0; /* it is timed by its name in libc */
  uint32_t former = by_slots ? find_unloaded(s, first) : UINT32_MAX;
  rf_ref skipped = former == UINT32_MAX ? record_skipped(s, first->name, reason) : 0;
  if (by_slots)
    rf_sweep_withdraw(s->change, rf_slots_want(s->module, first->symbol, first->address, skipped));
  return skipped;
}

static struct rf_branch_query query_of(const struct rf_sweep *s, struct rf_segment segments[MOST_SEGMENTS]) {
  return (struct rf_branch_query){.module = s->module,
                                  .labels = &s->labels,
                                  .text_start = s->module->text_start,
                                  .text_end = s->module->text_end,
                                  .segments = segments,
                                  .segment_count =
                                      rf_module_text_segments(s->module, segments, MOST_SEGMENTS),
                                  .functions = s->extents,
                                  .function_count = s->extent_count};
}

/* Which candidates can't be entered by a jump in their first bytes, all in one scan of the module's code. */
static bool find_branches(struct rf_sweep *s) {
  uintptr_t *starts = rf_calloc(s->candidate_count, sizeof *starts);
  s->entered = rf_calloc(s->candidate_count, sizeof *s->entered);
  for (size_t i = 0; starts && i < s->candidate_count; i++) starts[i] = s->candidates[i].address;
  struct rf_segment segments[MOST_SEGMENTS];
  struct rf_branch_query query = query_of(s, segments);
  query.starts = starts, query.start_count = s->candidate_count;
  rf_labels_find(&query, &s->labels);
  bool found = starts && s->entered && !s->labels.incomplete && rf_branches_find(&query, s->entered);
  rf_free(starts);
  return found;
}

static uint16_t entered_bytes(const struct rf_sweep *s, const struct rf_candidate *first, size_t count) {
  uint16_t entered = 0;
  for (size_t i = 0; s->entered && i < count; i++) entered |= s->entered[(size_t)(first - s->candidates) + i];
  return entered;
}

/* Where a counting stub finds the function's countdown; NULL: all its calls are timed. */
static const void *countdown_of(uint32_t id, const struct rf_full *full) {
  bool counting = rf_pace_thins(full->own_share) && !full->every_call && id < rf_countdown_capacity;
  return counting ? rf_no_countdowns + id : NULL;
}

/* What the rules of all its names ask of a function. */
static struct rf_select_function with_rules(const struct rf_sweep *s, const struct rf_candidate *first,
                                            size_t aliases, uint16_t *sets) {
  uint16_t count = 0;
  for (size_t i = 0; i < aliases; i++)
    for (uint16_t k = 0; k < first[i].set_count; k++) rf_wishes_add_set(sets, &count, first[i].sets[k]);
  return (struct rf_select_function){first->name, rf_sweep_offset(s, first), sets, count};
}

/* Tells all at once, since describing them may take another program. */
static void prepare_rules(struct rf_sweep *s) {
  struct rf_select_function *list = rf_calloc(s->candidate_count, sizeof *list);
  size_t count = 0;
  for (size_t i = 0; list && i < s->candidate_count; i++) {
    const struct rf_candidate *c = &s->candidates[i];
    if (c->set_count)
      list[count++] = (struct rf_select_function){c->name, rf_sweep_offset(s, c), c->sets, c->set_count};
  }
  if (count) rf_wishes_rules()->prepare(s->module, list, count);
  rf_free(list);
}

/* A function that has an id and is mapped: it is timed, or was until it was removed. */
static void time_again(const struct rf_sweep *s, uint32_t id) {
  struct rf_traced *traced = rf_traced_at(id);
  if (s->change) *(traced->gone ? &s->change->changed : &s->change->unchanged) += 1;
  if (!traced->gone) return;
  rf_traced_set_gone(id, 0);
  if (traced->by_slots)
    rf_slots_turn(traced->address, true);
  else
    rf_patch_repeat(id);
}

/* What is known of the code around functions that a first look refused. */
struct surroundings {
  struct rf_branch_list branches;
  uintptr_t *scarce; /* these functions */
  size_t count;
};

static bool remember(const struct rf_sweep *s, const struct rf_candidate *first, size_t aliases,
                     size_t size) {
  struct rf_traced fresh = {.name = rf_strdup(first->name),
                            .aliases = alias_text(first, aliases),
                            .offset = rf_sweep_offset(s, first),
                            .size = size,
                            .address = first->address,
                            .by_slots = s->slotted,
                            .full = full_of_aliases(first, aliases)};
  return rf_traced_add(s->module, fresh);
}

static const char *patch(const struct rf_sweep *s, const struct rf_candidate *first, size_t aliases,
                         const struct surroundings *around, struct rf_patched *patched) {
  *patched = (struct rf_patched){0};
  if (s->refusal) return s->refusal;
  if (rf_sweep_is_go(s, first->address))
    return "Go moves its stacks and finds its frames by their return addresses";
  for (size_t i = 0; i < aliases; i++) {
    const char *reason = rf_refuse_name(s->module->name, first[i].name);
    if (reason) return reason;
  }
  uint32_t id = rf_traced_find(first->address);
  if (id != UINT32_MAX) return time_again(s, id), NULL;
  id = find_unloaded(s, first);
  bool known = id != UINT32_MAX;
  if (!known) id = rf_traced_count();
  if (id >= RF_MOST_FUNCTIONS) return "more functions than Refunc can time at once";
  size_t limit, size = size_of(s, first->address, &limit);
  if (!limit) limit = rf_vdso_bytes(first->address);
  struct rf_full full = full_of_aliases(first, aliases);
  uint16_t sets[RF_SELECT_SETS];
  struct rf_select_function ruled = with_rules(s, first, aliases, sets);
  full.every_call |= ruled.set_count != 0;
  bool plain = !full.every_call && !full.flags && full.mode == RF_CLOCK_PERF_COUNTER;
  bool described = !plain || full.own_share;
  if (described && !(known && rf_sites[id].extra) && !rf_full_set(id, &full)) return "no memory";
  struct rf_patch_request request = {.address = first->address,
                                     .size = size,
                                     .limit = limit,
                                     .id = id,
                                     .entry = plain             ? rf_enter
                                              : ruled.set_count ? rf_enter_checked
                                                                : rf_enter_full,
                                     .countdown = countdown_of(id, &full),
                                     .low = s->module->text_start,
                                     .high = s->module->text_end,
                                     .module = s->module,
                                     .entered = entered_bytes(s, first, aliases),
                                     .functions = s->extents,
                                     .function_count = s->extent_count,
                                     .quiet = s->quiet,
                                     .branches = around ? &around->branches : NULL,
                                     .scarce = around ? around->scarce : NULL,
                                     .scarce_count = around ? around->count : 0};
  const char *reason = (s->slotted ? rf_patch_add_through : rf_patch_add)(&request, patched);
  if (reason) return reason;
  if (!(known ? rf_traced_come_back(id, s->module, first->address) : remember(s, first, aliases, size)))
    return "the recording is full";
  if (ruled.set_count) rf_full_set_checker(id, rf_wishes_rules()->make(id, s->module, &ruled));
  rf_sites[id].body = patched->body;
  if (s->slotted) rf_slots_time(first->address, id, patched->stub);
  if (s->change) s->change->changed++;
  return NULL;
}

static bool look_around(const struct rf_sweep *s, const size_t *scarce, size_t count,
                        struct surroundings *around) {
  struct rf_segment segments[MOST_SEGMENTS];
  struct rf_branch_query query = query_of(s, segments);
  struct rf_extent *areas = rf_calloc(count, sizeof *areas);
  *around = (struct surroundings){.scarce = rf_calloc(count, sizeof *around->scarce), .count = count};
  for (size_t i = 0; areas && around->scarce && i < count; i++) {
    around->scarce[i] = s->candidates[scarce[i]].address;
    areas[i] = (struct rf_extent){around->scarce[i] - RF_PATCH_AREA, 2 * RF_PATCH_AREA};
  }
  bool listed = areas && around->scarce && rf_branches_list(&query, areas, count, &around->branches);
  rf_free(areas);
  return listed;
}

/*
 * Functions without room for a jump, and those that are branched into, need more of the code around them to
 * be changed. That takes all branches there to be known, and is worth another scan only where there are such.
 */
static void patch_scarce(const struct rf_sweep *s, const size_t *scarce, size_t count) {
  struct surroundings around;
  bool listed = look_around(s, scarce, count, &around);
  struct rf_patched patched;
  for (size_t i = 0; i < count; i++) {
    const struct rf_candidate *first = &s->candidates[scarce[i]];
    const char *reason = patch(s, first, rf_sweep_aliases(s, scarce[i]), listed ? &around : NULL, &patched);
    if (reason) rf_sweep_skip(s, first, reason, patched.by_slots);
  }
  if (listed) rf_branch_list_free(&around.branches);
  rf_free(around.scarce);
}

void rf_sweep_patch(struct rf_sweep *s) {
  bool analysed = find_branches(s);
  size_t *scarce = rf_calloc(s->candidate_count, sizeof *scarce), scarce_count = 0;
  if (rf_wishes_rules()) prepare_rules(s);
  uint64_t mask = rf_traced_lock();
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    const struct rf_candidate *first = &s->candidates[i];
    struct rf_patched patched = {0};
    count = rf_sweep_aliases(s, i);
    const char *reason =
        analysed ? patch(s, first, count, NULL, &patched) : "no memory to analyse its module";
    if (reason && patched.scarce && scarce && s->quiet)
      scarce[scarce_count++] = i;
    else if (reason)
      rf_sweep_skip(s, first, reason, patched.by_slots || rf_vdso_bytes(first->address));
  }
  if (scarce_count) patch_scarce(s, scarce, scarce_count);
  rf_traced_unlock(mask);
  rf_free(scarce);
}

void rf_sweep_patch_slotted(struct rf_sweep *s) {
  struct rf_patched patched;
  uint64_t note;
  if (rf_wishes_rules()) prepare_rules(s);
  uint64_t mask = rf_traced_lock();
  for (size_t i = 0, count; i < s->candidate_count; i += count) {
    const struct rf_candidate *first = &s->candidates[i];
    count = rf_sweep_aliases(s, i);
    if (!rf_slots_found(first->address, &note) || patch(s, first, count, NULL, &patched)) continue;
    rf_sweep_withdraw(s->change, note);
  }
  rf_traced_unlock(mask);
}

void rf_sweep_keep_slotted(struct rf_sweep *s) {
  uint64_t note;
  for (size_t i = 0; i < s->candidate_count; i++)
    if (!rf_slots_found(s->candidates[i].address, &note)) rf_sweep_drop(s, i--);
}
