/* See foreign.h. */
#include "heap/foreign.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/entry.h"
#include "base/memory.h"
#include "base/thread.h"
#include "elf/image.h"
#include "elf/loader.h"
#include "elf/module.h"
#include "elf/symbol_table.h"
#include "heap/allocator.h"
#include "heap/foreign_names.h"
#include "heap/jemalloc.h"
#include "heap/silent.h"
#include "patch/branches.h"
#include "patch/patch.h"

#define MOST_SEGMENTS 16
#define UNSEEN_MOST 32

struct rf_hook rf_hooks[RF_HOOKS];

static struct {
  uint32_t count;
  bool beside, blind;
  char name[128], beside_name[128];
  struct {
    char *module, *reason;
  } unseen[UNSEEN_MOST];
  size_t unseen_count;
} state;

/* One function of the module that is looked at. */
struct found {
  uintptr_t address;
  const struct rf_known_function *known;
  uint8_t prefix;
  bool taken; /* not this allocator's, or an alias of one before */
};

struct search {
  const struct rf_module *module;
  bool plain;            /* names without prefixes are an allocator's, too */
  bool back;             /* libc, while jemalloc serves */
  const char *allocator; /* what it is called */
  bool sanitizer;
  uintptr_t usable[RF_PREFIXES]; /* by prefix: what tells a block's size; 0: nothing does */
  uintptr_t usable_size;         /* the one that counts */
  struct found *found;
  size_t count, capacity;
  struct rf_extent *extents;
  size_t extent_count, extent_capacity;
};

bool rf_foreign_hooked(void) { return state.count != 0; }
bool rf_foreign_beside(void) { return state.beside; }
bool rf_foreign_blind(void) { return state.blind; }
const char *rf_foreign_name(void) { return state.name; }
const char *rf_foreign_beside_name(void) { return state.beside_name; }

static void note_unseen(const char *module, const char *reason) {
  if (state.unseen_count == UNSEEN_MOST) return;
  state.unseen[state.unseen_count].module = rf_strdup(module);
  state.unseen[state.unseen_count++].reason = rf_strdup(reason);
}

void rf_foreign_tell_unseen(void (*tell)(const char *module, const char *reason)) {
  for (size_t i = 0; i < state.unseen_count; i++)
    if (state.unseen[i].module && state.unseen[i].reason)
      tell(state.unseen[i].module, state.unseen[i].reason);
}

/* ---- finding ---- */

static bool room(void **list, size_t count, size_t *capacity, size_t size) {
  if (count < *capacity) return true;
  size_t wanted = *capacity ? *capacity * 2 : 1024;
  void *grown = rf_realloc(*list, wanted * size);
  if (!grown) return false;
  *list = grown;
  *capacity = wanted;
  return true;
}

static bool collect(void *user, const struct rf_symbol *symbol) {
  struct search *s = user;
  if (symbol->kind != RF_SYMBOL_FUNCTION) return true;
  if (!room((void **)&s->extents, s->extent_count, &s->extent_capacity, sizeof *s->extents) ||
      !room((void **)&s->found, s->count, &s->capacity, sizeof *s->found))
    return false;
  s->extents[s->extent_count++] = (struct rf_extent){symbol->address, symbol->size};
  if (!strncmp(symbol->name, "__asan_init", 11) || !strncmp(symbol->name, "__sanitizer_", 12))
    s->sanitizer = true;
  struct rf_foreign_name name = rf_foreign_look_up(symbol->name);
  if (s->back) name.known = rf_foreign_back(symbol->name);
  if (name.usable && !s->usable[name.prefix]) s->usable[name.prefix] = symbol->address;
  if (name.known && (s->plain || s->back || name.prefix))
    s->found[s->count++] = (struct found){symbol->address, name.known, name.prefix, false};
  return true;
}

static int by_address(const void *a, const void *b) {
  uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
  return x < y ? -1 : x > y;
}

/* Of several names at an address one that is essential stands first, and what is another allocator's last. */
static int by_address_and_weight(const void *a, const void *b) {
  const struct found *x = a, *y = b;
  int order = by_address(a, b);
  if (!order) order = x->taken - y->taken;
  return order ? order : y->known->essential - x->known->essential;
}

static void put_in_order(struct search *s) {
  qsort(s->extents, s->extent_count, sizeof *s->extents, by_address);
  qsort(s->found, s->count, sizeof *s->found, by_address_and_weight);
  for (size_t i = 1; i < s->count; i++) s->found[i].taken |= s->found[i].address == s->found[i - 1].address;
}

/* Where a function of that prefix lies; 0: there is none. */
static uintptr_t place_of(const struct search *s, unsigned prefix, const char *name) {
  for (size_t i = 0; i < s->count; i++)
    if (s->found[i].prefix == prefix && !strcmp(s->found[i].known->name, name)) return s->found[i].address;
  return 0;
}

/* The prefixes that are names of one allocator: of several in an executable those of malloc's, or the first
 * one that is whole. A library that is an allocator has no other. */
static unsigned prefixes_of(const struct search *s, bool library) {
  unsigned all = (1u << RF_PREFIXES) - 1, chosen = s->plain ? 1 : 0;
  if (library) return all;
  for (unsigned p = 1; p < RF_PREFIXES; p++) {
    uintptr_t at = place_of(s, p, "malloc");
    if (!at || !place_of(s, p, "free")) continue;
    if (s->plain ? at == place_of(s, 0, "malloc") : !chosen) chosen |= 1u << p;
  }
  return chosen;
}

static void choose(struct search *s, unsigned prefixes) {
  for (size_t i = 0; i < s->count; i++) s->found[i].taken = !(prefixes >> s->found[i].prefix & 1);
  for (unsigned p = 0; p < RF_PREFIXES; p++) {
    if (!(prefixes >> p & 1)) continue;
    if (!s->usable_size) s->usable_size = s->usable[p];
    if (p && !s->allocator && place_of(s, p, "malloc")) s->allocator = rf_foreign_allocator(p);
  }
  if (!s->allocator) s->allocator = place_of(s, 0, "mallocx") ? "jemalloc" : rf_foreign_allocator(0);
}

/* ---- hooking ---- */

static const void *entry_of(enum rf_hook_shape shape) {
  switch (shape) {
  case RF_HOOK_ALLOC: return rf_hook_alloc;
  case RF_HOOK_PLACED: return rf_hook_placed;
  case RF_HOOK_REALLOC: return rf_hook_realloc;
  case RF_HOOK_RESIZE: return rf_hook_resize;
  case RF_HOOK_BACK: return rf_hook_back;
  default: return rf_hook_free;
  }
}

static size_t size_of(const struct search *s, uintptr_t address, size_t *limit) {
  size_t size = 0;
  *limit = s->module->text_end - address;
  for (size_t i = 0; i < s->extent_count; i++) {
    if (s->extents[i].address == address && s->extents[i].size > size) size = s->extents[i].size;
    if (s->extents[i].address <= address) continue;
    *limit = s->extents[i].address - address;
    break;
  }
  return size;
}

static const char *hook(struct search *s, const struct found *found, uint16_t entered) {
  uint32_t id = state.count;
  if (id >= RF_HOOKS) return "there are too many such functions";
  struct rf_patch_request request = {.address = found->address,
                                     .id = id,
                                     .entry = entry_of(found->known->shape),
                                     .low = s->module->text_start,
                                     .high = s->module->text_end,
                                     .module = s->module,
                                     .entered = entered,
                                     .functions = s->extents,
                                     .function_count = s->extent_count,
                                     .anonymous = true};
  request.size = size_of(s, found->address, &request.limit);
  struct rf_hook *place = &rf_hooks[id];
  *place = (struct rf_hook){.shape = found->known->shape,
                            .size = found->known->size,
                            .block = found->known->block,
                            .usable_size = (size_t(*)(void *))s->usable_size};
  struct rf_patched patched;
  const char *reason = rf_patch_add(&request, &patched);
  place->body = patched.body;
  if (!reason) state.count++;
  return reason;
}

/* Where branches into the functions are looked for: all the code; in libc, whose allocator is one file,
 * between the first of them and the last. */
static size_t segments_of(const struct search *s, struct rf_segment *segments) {
  const struct found *last = &s->found[s->count - 1];
  if (!s->back) return rf_module_text_segments(s->module, segments, MOST_SEGMENTS);
  size_t limit;
  *segments = (struct rf_segment){s->found[0].address, last->address + size_of(s, last->address, &limit)};
  return 1;
}

static bool find_branches(const struct search *s, uint16_t *entered) {
  struct rf_segment segments[MOST_SEGMENTS];
  uintptr_t *starts = rf_calloc(s->count, sizeof *starts);
  for (size_t i = 0; starts && i < s->count; i++) starts[i] = s->found[i].address;
  size_t count = segments_of(s, segments);
  struct rf_branch_query query = {.text_start = s->back ? segments[0].start : s->module->text_start,
                                  .text_end = s->back ? segments[0].end : s->module->text_end,
                                  .segments = segments,
                                  .segment_count = count,
                                  .functions = s->extents,
                                  .function_count = s->extent_count,
                                  .starts = starts,
                                  .start_count = s->count};
  bool good = starts && rf_branches_find(&query, entered);
  rf_free(starts);
  return good;
}

static void say(const struct search *s, const char *name, const char *reason) {
  char text[256];
  snprintf(text, sizeof text, "%s can't be hooked: %s", name, reason);
  note_unseen(s->module->name, text);
}

/* All that is essential, or nothing: a malloc that is seen and a free that is not would add up to nonsense.
 * What else can't be hooked is told. */
static bool plan(struct search *s, uint16_t *entered) {
  for (size_t i = 0; i < s->count; i++) {
    if (s->found[i].taken) continue;
    const char *reason = hook(s, &s->found[i], entered[i]);
    if (!reason) continue;
    say(s, s->found[i].known->name, reason);
    if (s->found[i].known->essential) return false;
  }
  return true;
}

static void write_failed(void *user, uint32_t id, const char *reason) {
  (void)id;
  *(const char **)user = reason;
}

static bool hook_all(struct search *s) {
  uint32_t before = state.count;
  const char *problem = rf_patch_open(), *unwritten = NULL;
  uint16_t *entered = rf_calloc(s->count, sizeof *entered);
  bool good = !problem && entered && find_branches(s, entered) && plan(s, entered);
  if (problem) note_unseen(s->module->name, problem);
  if (good && rf_patch_commit(write_failed, &unwritten) != 0) {
    note_unseen(s->module->name, unwritten);
    good = false;
  }
  if (!good) {
    state.count = before;
    size_t dropped;
    rf_patch_export(&dropped); /* what was planned is not written */
  }
  rf_patch_close();
  rf_free(entered);
  return good;
}

/* ---- modules ---- */

static bool within(const struct rf_module *module, const void *address) {
  return (uintptr_t)address >= module->text_start && (uintptr_t)address < module->text_end;
}

static void name_it(const struct search *s, char *name, size_t size) {
  snprintf(name, size, "%s in %s", s->allocator, s->module->name);
}

static const char *obstacle(const struct search *s, unsigned prefixes) {
  if (s->sanitizer) return "its malloc is a sanitizer's";
  if (!prefixes || (s->plain && !(place_of(s, 0, "malloc") && place_of(s, 0, "free"))))
    return "its allocator's functions have no names";
  return s->usable_size ? NULL : "nothing in it tells a block's size";
}

/* serves: malloc itself, as the app calls it, is this module's. */
static void look_at(const struct rf_module *module, const char *library, bool plain, bool serves) {
  struct search s = {.module = module, .plain = plain, .allocator = library};
  rf_symbols_visit(module, collect, &s, NULL);
  unsigned prefixes = prefixes_of(&s, library != NULL);
  choose(&s, prefixes);
  put_in_order(&s);
  const char *problem = obstacle(&s, prefixes);
  bool hooked = !problem && hook_all(&s);
  if (problem && (serves || s.count)) note_unseen(module->name, problem);
  bool stands_behind = within(module, (const void *)rf_app.malloc);
  if (serves || stands_behind)
    name_it(&s, state.name, sizeof state.name);
  else if (hooked)
    name_it(&s, state.beside_name, sizeof state.beside_name);
  if (serves && !hooked) state.blind = true;
  if (hooked && serves)
    rf_silent_sizes((size_t(*)(void *))s.usable_size);
  else if (hooked && stands_behind)
    rf_silent_begin();
  else if (hooked)
    state.beside = true;
  rf_free(s.found);
  rf_free(s.extents);
}

/* Does not matter to counting: it goes by our own functions. */
static void lead_back(const struct rf_module *module) {
  struct search s = {.module = module, .back = true};
  struct rf_symbol_table table;
  if (!rf_symbol_table_from_memory(&table, module)) return;
  rf_symbol_table_visit(&table, module, collect, &s);
  rf_symbol_table_free(&table);
  put_in_order(&s);
  if (s.count) hook_all(&s);
  rf_free(s.found);
  rf_free(s.extents);
}

/* Whether one of the file's string tables has a prefixed malloc in it: most executables have none, and their
 * symbols need not be looked at. */
static bool section_mentions(const struct rf_image *image, const char *section) {
  static const char word[] = "_malloc"; /* with its end; in front of it stands a known prefix */
  const Elf64_Shdr *header = rf_image_section(image, SHT_STRTAB, section);
  size_t pages;
  char *text = header ? rf_image_copy(image, header->sh_offset, header->sh_size, &pages) : NULL;
  const char *at = text, *end = text + (text ? header->sh_size : 0);
  bool found = false;
  while (!found && at && (at = memmem(at, (size_t)(end - at), word, sizeof word))) {
    const char *name = at;
    while (name > text && name[-1]) name--;
    found = rf_foreign_look_up(name).prefix != 0;
    at += sizeof word;
  }
  if (text) rf_pages_free(text, pages);
  return found;
}

static bool mentions_allocator(const struct rf_module *module) {
  struct rf_image image;
  if (!rf_image_open(&image, module->path)) return false;
  bool found = section_mentions(&image, ".strtab") || section_mentions(&image, ".dynstr");
  rf_image_close(&image);
  return found;
}

extern void *__libc_malloc(size_t bytes);

struct start {
  bool counting;
  const void *seen; /* malloc, as the app calls it */
};

static bool visit(void *user, const struct rf_module *module) {
  const struct start *start = user;
  const char *library = rf_foreign_library(module->name);
  bool program = rf_loader_in_program((const void *)module->text_start), serves = within(module, start->seen);
  if (rf_jemalloc_serves() && within(module, (const void *)__libc_malloc))
    lead_back(module);
  else if (start->counting && program && serves)
    look_at(module, NULL, true, true);
  else if (start->counting && program && mentions_allocator(module))
    look_at(module, NULL, false, false);
  else if (start->counting && !program && library)
    look_at(module, library, true, serves);
  return true;
}

void rf_foreign_start(bool counting) {
  struct start start = {counting, rf_allocator_seen()};
  rf_internal_enter();
  rf_modules_visit(visit, &start);
  rf_internal_leave();
}
