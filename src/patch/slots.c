/*
 * See slots.h. Which slots lead to a function?
 *
 *   PLT's slot, bound          holds the function's address: it is only ever jumped through
 *   PLT's slot, not bound yet  holds the way to the loader, which would look the name up at the first call
 * and write over whatever stands there. The same rules tell here what it would find; where they leave a doubt
 * the slot is left, and looked at again later GOT's slot                 holds the address, which code may
 * call through or take for a value (a callback, a comparison). It stays; each call through it gets a slot of
 * our own instead:
 *
 *       call [GOT's slot]  ─▶  call [own slot]         mov rax, [GOT's slot]     as it was
 *
 * The loader would also note that the calling module needs the called one. Where it would not come to that
 * any more, only functions are taken that can't go away before their caller.
 */
#include "patch/slots.h"

#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "arch/slots.h"
#include "arch/stub.h"
#include "base/grow.h"
#include "base/memory.h"
#include "elf/dynamic.h"
#include "patch/constructor.h"
#include "patch/data.h"
#include "patch/edits.h"
#include "patch/host.h"
#include "patch/near.h"
#include "patch/patch.h"

#define MOST_SEGMENTS 16
#define PAGE 4096

struct function {
  uintptr_t symbol, target, owner, stub; /* stub 0: none yet */
  uint64_t note;
  uint32_t id;
  bool on, reached, settled; /* reached: by a slot */
};

/* What is replaced: a PLT's slot, or one of our own. */
struct slot {
  uintptr_t address, module, target;
  uint64_t before;
  int protection;
};

/* A call or jump through a GOT's slot. */
struct site {
  uintptr_t operand, module, target;
  uintptr_t own; /* its own slot; 0: none yet */
};

/* A module that was looked through. */
struct looked {
  uintptr_t load_address;
  uint32_t calls, addresses; /* generations of functions for which these were looked at */
  bool doubts;
};

struct met {
  struct rf_dynamic dynamic;
  unsigned how;
  bool kernel; /* the vDSO, whose names no loader looks up */
};

/* Pages of own slots; an empty one is 0. */
struct page {
  uint64_t *slots;
  struct page *next;
};

static struct {
  struct function *functions; /* by target */
  size_t function_count, function_capacity;
  struct slot *slots;
  size_t slot_count, slot_capacity;
  struct site *sites;
  size_t site_count, site_capacity;
  struct looked *looked;
  size_t looked_count, looked_capacity;
  struct met *met;
  size_t met_count, met_capacity;
  uint32_t generation;
  struct page *pages;
  struct rf_dynamic own; /* this library */
  bool own_known;
} state;

/* ---- functions ---- */

static size_t function_from(uintptr_t target) {
  size_t low = 0, high = state.function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (state.functions[middle].target < target)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static struct function *function_at(uintptr_t target) {
  size_t at = function_from(target);
  return at < state.function_count && state.functions[at].target == target ? &state.functions[at] : NULL;
}

uint64_t rf_slots_want(const struct rf_module *owner, uintptr_t symbol, uintptr_t target, uint64_t note) {
  struct function *known = function_at(target);
  if (known) {
    uint64_t former = known->note;
    *known = (struct function){.symbol = symbol,
                               .target = target,
                               .owner = owner->load_address,
                               .note = note,
                               .stub = known->stub,
                               .id = known->id,
                               .on = known->on,
                               .reached = known->reached};
    return former;
  }
  struct function *list =
      rf_grow(state.functions, state.function_count, &state.function_capacity, sizeof *list);
  if (!list) return 0;
  state.functions = list;
  size_t at = function_from(target);
  memmove(&list[at + 1], &list[at], (state.function_count++ - at) * sizeof *list);
  list[at] =
      (struct function){.symbol = symbol, .target = target, .owner = owner->load_address, .note = note};
  state.generation++;
  return 0;
}

bool rf_slots_found(uintptr_t target, uint64_t *note) {
  const struct function *f = function_at(target);
  if (!f || !f->reached || f->stub) return false;
  *note = f->note;
  return true;
}

bool rf_slots_owner_found(uintptr_t load_address) {
  for (size_t i = 0; i < state.function_count; i++) {
    const struct function *f = &state.functions[i];
    if (f->owner == load_address && f->reached && !f->stub && !f->settled) return true;
  }
  return false;
}

void rf_slots_settle(void) {
  for (size_t i = 0; i < state.function_count; i++) state.functions[i].settled |= state.functions[i].reached;
}

/* ---- what a name means ---- */

static const struct met *met_at(uintptr_t load_address) {
  for (size_t i = 0; i < state.met_count; i++)
    if (state.met[i].dynamic.module.load_address == load_address) return &state.met[i];
  return NULL;
}

/* The one of the functions that a name stands for in its own module. */
static struct function *named(const struct rf_reference *reference) {
  uintptr_t last = 0;
  bool any = false;
  for (size_t i = 0; i < state.function_count; i++) {
    if (any && state.functions[i].owner == last) continue; /* mostly they come by modules */
    last = state.functions[i].owner, any = true;
    const struct met *owner = met_at(last);
    const Elf64_Sym *symbol = owner ? rf_dynamic_find(&owner->dynamic, reference) : NULL;
    for (size_t k = 0; symbol && k < state.function_count; k++)
      if (state.functions[k].owner == last && state.functions[k].symbol == last + symbol->st_value)
        return &state.functions[k];
  }
  return NULL;
}

enum meaning { OTHER, DOUBTFUL, CERTAIN };

/* Whether the loader would find the name in owner for a call from m. What is searched before what depends on
 * how a library was opened; only modules that the process began with stand in a known order. */
static enum meaning means(const struct met *m, const struct rf_reference *reference,
                          const struct met *owner) {
  const struct met *first = NULL;
  size_t definitions = 0;
  if (state.own_known && rf_dynamic_find(&state.own, reference)) return OTHER;
  if (m->dynamic.module.elsewhere || owner->dynamic.module.elsewhere) return DOUBTFUL;
  for (size_t i = 0; i < state.met_count; i++) {
    const struct met *one = &state.met[i];
    if (one->kernel || one->dynamic.module.elsewhere || !rf_dynamic_find(&one->dynamic, reference)) continue;
    if (!first || (one == m && m->dynamic.symbolic)) first = one;
    definitions++;
  }
  if (definitions > 1 && !(m->how & RF_SLOTS_INITIAL)) return DOUBTFUL;
  return first == owner ? CERTAIN : OTHER;
}

/* Whether owner stays as long as m does. */
static bool outlives(const struct met *owner, const struct met *m) {
  return owner->how & RF_SLOTS_INITIAL || owner == m || rf_dynamic_needs(&m->dynamic, &owner->dynamic);
}

/* ---- slots that are found ---- */

static bool is_known(uintptr_t address) {
  for (size_t i = 0; i < state.slot_count; i++)
    if (state.slots[i].address == address) return true;
  return false;
}

static void add_slot(const struct met *m, uintptr_t address, struct function *f, uint64_t before) {
  struct slot *list = rf_grow(state.slots, state.slot_count, &state.slot_capacity, sizeof *list);
  int protection = rf_data_protection(&m->dynamic, address, true);
  if (!list || !protection) return;
  state.slots = list;
  list[state.slot_count++] =
      (struct slot){address, m->dynamic.module.load_address, f->target, before, protection};
  f->reached = true;
}

static bool in_text(const struct rf_module *module, uintptr_t address) {
  return address - module->text_start < module->text_end - module->text_start;
}

/* A slot of a PLT that was not called through yet. True: it can't be told. */
static bool look_at_unbound(const struct met *m, size_t index, uintptr_t address, uint64_t value) {
  struct rf_reference reference;
  if (!in_text(&m->dynamic.module, value) ||
      !rf_slot_binds((const uint8_t *)value, rf_module_readable(&m->dynamic.module, value), index) ||
      !rf_dynamic_reference(&m->dynamic, &m->dynamic.calls.first[index], &reference))
    return false;
  struct function *f = named(&reference);
  const struct met *owner = f ? met_at(f->owner) : NULL;
  enum meaning meaning = owner ? means(m, &reference, owner) : OTHER;
  if (meaning == CERTAIN && outlives(owner, m))
    add_slot(m, address, f, value);
  else
    return meaning != OTHER;
  return false;
}

static uint64_t value_at(uintptr_t address) {
  return __atomic_load_n((const uint64_t *)address, __ATOMIC_RELAXED);
}

/* Where the relocation's slot lies; 0: out of its module. */
static uintptr_t slot_of(const struct met *m, const Elf64_Rela *relocation) {
  uintptr_t address = m->dynamic.module.load_address + relocation->r_offset;
  bool good = address % 8 == 0 && rf_module_readable(&m->dynamic.module, address) >= 8;
  return good ? address : 0;
}

static bool look_at_calls(const struct met *m) {
  bool doubts = false;
  for (size_t i = 0; i < m->dynamic.calls.count; i++) {
    const Elf64_Rela *relocation = &m->dynamic.calls.first[i];
    uintptr_t address = ELF64_R_TYPE(relocation->r_info) == RF_RELOCATION_CALL ? slot_of(m, relocation) : 0;
    if (!address) continue;
    uint64_t value = value_at(address);
    struct function *f = function_at(value);
    if (f && !is_known(address))
      add_slot(m, address, f, value);
    else if (!f)
      doubts |= look_at_unbound(m, i, address, value);
  }
  return doubts;
}

/* ---- calls through a GOT's slot ---- */

/* A module's slots of that kind that hold a function's address. */
struct addresses {
  const struct met *met;
  uintptr_t *slots; /* sorted, as relocations mostly are */
  size_t count, capacity;
};

static int by_address(const void *a, const void *b) {
  uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
  return x < y ? -1 : x > y;
}

static void collect_addresses(struct addresses *a) {
  const struct rf_relocations *data = &a->met->dynamic.data;
  for (size_t i = 0; i < data->count; i++) {
    if (ELF64_R_TYPE(data->first[i].r_info) != RF_RELOCATION_ADDRESS) continue;
    uintptr_t address = slot_of(a->met, &data->first[i]);
    if (!address || !function_at(value_at(address))) continue;
    uintptr_t *list = rf_grow(a->slots, a->count, &a->capacity, sizeof *list);
    if (!list) return;
    a->slots = list;
    list[a->count++] = address;
  }
  rf_sort(a->slots, a->count, sizeof *a->slots, by_address);
}

static bool is_site(uintptr_t operand) {
  for (size_t i = 0; i < state.site_count; i++)
    if (state.sites[i].operand == operand) return true;
  return false;
}

/* What was moved into a stub, or will be, is found there. */
static bool was_moved(uintptr_t operand) {
  struct rf_patch_window window;
  uintptr_t start = operand - 2, end = operand + RF_SLOT_OPERAND;
  return rf_patch_windows(start, end, &window, 1) || rf_host_covers(start, end);
}

static void add_site(void *user, uintptr_t operand, uintptr_t slot) {
  const struct addresses *a = user;
  if (!bsearch(&slot, a->slots, a->count, sizeof slot, by_address) || is_site(operand) || was_moved(operand))
    return;
  struct function *f = function_at(value_at(slot));
  struct site *list = f ? rf_grow(state.sites, state.site_count, &state.site_capacity, sizeof *list) : NULL;
  if (!list) return;
  state.sites = list;
  list[state.site_count++] = (struct site){operand, a->met->dynamic.module.load_address, f->target, 0};
  f->reached = true;
}

struct scan {
  struct addresses *addresses;
  uintptr_t low, high;
};

static void scan_code(void *user, uintptr_t start, uintptr_t end) {
  const struct scan *s = user;
  rf_slot_scan((const uint8_t *)start, end - start, s->low, s->high, add_site, s->addresses);
}

static void look_at_addresses(const struct met *m) {
  struct addresses a = {.met = m};
  struct rf_segment text[MOST_SEGMENTS];
  collect_addresses(&a);
  if (a.count) {
    struct scan scan = {&a, a.slots[0], a.slots[a.count - 1] + 1};
    size_t count = rf_module_text_segments(&m->dynamic.module, text, MOST_SEGMENTS);
    for (size_t i = 0; i < count; i++) scan_code(&scan, text[i].start, text[i].end);
    rf_patch_visit_stubs(scan_code, &scan);
  }
  rf_free(a.slots);
}

/* ---- own slots ---- */

static bool reaches(uintptr_t from, uintptr_t to) {
  uint8_t ignored[4];
  return rf_distance_encode(from, to, sizeof ignored, ignored);
}

static uintptr_t empty_slot(const struct page *page) {
  for (size_t i = 0; i < PAGE / sizeof *page->slots; i++)
    if (!page->slots[i]) return (uintptr_t)&page->slots[i];
  return 0;
}

static uintptr_t own_slot_near(const struct rf_module *module) {
  for (const struct page *page = state.pages; page; page = page->next) {
    uintptr_t start = (uintptr_t)page->slots;
    bool near = reaches(module->text_start, start) && reaches(module->text_end, start + PAGE) &&
                reaches(module->text_start, start + PAGE) && reaches(module->text_end, start);
    uintptr_t slot = near ? empty_slot(page) : 0;
    if (slot) return slot;
  }
  struct page *fresh = rf_calloc(1, sizeof *fresh);
  if (!fresh) return 0;
  fresh->slots = rf_near_pages(module->text_start, module->text_end, PAGE);
  if (!fresh->slots) {
    rf_free(fresh);
    return 0;
  }
  fresh->next = state.pages;
  state.pages = fresh;
  return (uintptr_t)fresh->slots;
}

/* One for all calls of a function from a module. It leads to the function until rf_slots_apply. */
static uintptr_t own_slot(const struct met *m, struct function *f) {
  uintptr_t module = m->dynamic.module.load_address;
  for (size_t i = 0; i < state.site_count; i++)
    if (state.sites[i].module == module && state.sites[i].target == f->target && state.sites[i].own)
      return state.sites[i].own;
  struct slot *list = rf_grow(state.slots, state.slot_count, &state.slot_capacity, sizeof *list);
  uintptr_t own = list ? own_slot_near(&m->dynamic.module) : 0;
  if (!list) return 0;
  state.slots = list;
  if (!own) return 0;
  *(uint64_t *)own = f->target;
  list[state.slot_count++] = (struct slot){own, module, f->target, f->target, PROT_READ | PROT_WRITE};
  return own;
}

/* Plans that the calls go through own slots. */
static void turn_sites(void) {
  for (size_t i = 0; i < state.site_count; i++) {
    struct site *site = &state.sites[i];
    struct function *f = function_at(site->target);
    const struct met *m = met_at(site->module);
    uint8_t distance[4];
    if (site->own || !f || !f->stub || !m || !rf_edits_reserve(1)) continue;
    uintptr_t own = own_slot(m, f), behind = site->operand + RF_SLOT_OPERAND;
    if (!own || !rf_distance_encode(behind, own, sizeof distance, distance)) continue;
    rf_edit_add(site->operand, distance, sizeof distance, f->stub, f->id);
    site->own = own;
  }
}

/* ---- looking ---- */

void rf_slots_begin(void) { state.met_count = 0; }

void rf_slots_meet(const struct rf_module *module, unsigned how) {
  if (!state.function_count) return;
  struct met *list = rf_grow(state.met, state.met_count, &state.met_capacity, sizeof *list);
  if (!list) return;
  state.met = list;
  struct met *m = &list[state.met_count];
  if (!rf_dynamic_read(module, &m->dynamic)) return;
  m->how = how;
  m->kernel = rf_vdso_bytes(module->text_start) != 0;
  state.met_count++;
}

static struct looked *looked_through(uintptr_t load_address) {
  for (size_t i = 0; i < state.looked_count; i++)
    if (state.looked[i].load_address == load_address) return &state.looked[i];
  struct looked *list = rf_grow(state.looked, state.looked_count, &state.looked_capacity, sizeof *list);
  if (!list) return NULL;
  state.looked = list;
  list[state.looked_count] = (struct looked){.load_address = load_address};
  return &list[state.looked_count++];
}

static bool names_any(const struct met *m, const struct rf_relocations *relocations, uint32_t type) {
  struct rf_reference reference;
  for (size_t i = 0; i < relocations->count; i++)
    if (ELF64_R_TYPE(relocations->first[i].r_info) == type &&
        rf_dynamic_reference(&m->dynamic, &relocations->first[i], &reference) && named(&reference))
      return true;
  return false;
}

static void look_through(const struct met *m, struct looked *looked) {
  if (looked->calls != state.generation || looked->doubts) looked->doubts = look_at_calls(m);
  looked->calls = state.generation;
  if (looked->addresses == state.generation || !(m->how & RF_SLOTS_QUIET)) return;
  looked->addresses = state.generation;
  look_at_addresses(m);
}

void rf_slots_look(const void *constructor_entry) {
  if (!state.function_count) return;
  if (!state.own_known) state.own_known = rf_dynamic_read_own(&state.own);
  for (size_t i = 0; i < state.met_count; i++) {
    const struct met *m = &state.met[i];
    if (!(m->how & RF_SLOTS_READY)) {
      if (names_any(m, &m->dynamic.calls, RF_RELOCATION_CALL) ||
          names_any(m, &m->dynamic.data, RF_RELOCATION_ADDRESS))
        rf_constructor_precede(&m->dynamic, constructor_entry);
      continue;
    }
    struct looked *looked = looked_through(m->dynamic.module.load_address);
    if (looked) look_through(m, looked);
  }
  turn_sites();
}

/* ---- writing ---- */

void rf_slots_time(uintptr_t target, uint32_t id, uintptr_t stub) {
  struct function *f = function_at(target);
  if (!f) return;
  f->id = id, f->stub = stub, f->on = true;
  turn_sites();
}

void rf_slots_turn(uintptr_t target, bool on) {
  struct function *f = function_at(target);
  if (f) f->on = on;
}

/* Whoever else has written to the slot is left alone, but for the loader, which has bound it meanwhile. */
static bool apply(const struct slot *slot, const struct function *f) {
  uint64_t now = value_at(slot->address), wanted = f->on ? f->stub : slot->before;
  if (f->on && !rf_patch_is_ready(f->stub)) return false;
  if (now == wanted || (now != slot->before && now != f->target && now != f->stub)) return true;
  return rf_data_replace(slot->address, now, wanted, slot->protection);
}

size_t rf_slots_apply(void) {
  size_t failures = 0;
  for (size_t i = 0; i < state.slot_count; i++) {
    const struct function *f = function_at(state.slots[i].target);
    if (f && f->stub) failures += !apply(&state.slots[i], f);
  }
  return failures;
}

/* ---- modules that are gone ---- */

static bool is_own(uintptr_t address) {
  for (const struct page *page = state.pages; page; page = page->next)
    if (address - (uintptr_t)page->slots < PAGE) return true;
  return false;
}

static void forget_callers(uintptr_t load_address) {
  size_t kept = 0;
  for (size_t i = 0; i < state.slot_count; i++) {
    const struct slot *slot = &state.slots[i];
    if (slot->module != load_address)
      state.slots[kept++] = *slot;
    else if (is_own(slot->address))
      *(uint64_t *)slot->address = 0;
  }
  state.slot_count = kept;
  kept = 0;
  for (size_t i = 0; i < state.site_count; i++)
    if (state.sites[i].module != load_address) state.sites[kept++] = state.sites[i];
  state.site_count = kept;
}

static void forget_functions(uintptr_t load_address) {
  size_t kept = 0;
  for (size_t i = 0; i < state.function_count; i++)
    if (state.functions[i].owner != load_address) state.functions[kept++] = state.functions[i];
  state.function_count = kept;
}

void rf_slots_forget(uintptr_t load_address) {
  rf_constructor_forget(load_address);
  forget_callers(load_address);
  forget_functions(load_address);
  for (size_t i = 0; i < state.looked_count; i++)
    if (state.looked[i].load_address == load_address) state.looked[i--] = state.looked[--state.looked_count];
}
