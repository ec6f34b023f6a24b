/* See symbolize.h. */
#include "report/symbolize.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/demangle.h"

#define INLINED_MOST 32

struct module_debug {
  Dwfl *session; /* NULL: nothing is known of it */
  Dwfl_Module *module;
  bool opened;
};

struct known {
  struct rf_report_frame frame;
  const struct rf_report_symbol *symbol;
  size_t count;
};

struct rf_symbolizer {
  struct module_debug *debug; /* by the report's index of modules */
  size_t modules;
  struct known *known; /* hash table */
  size_t capacity, count;
};

/* --- modules --- */

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                         .find_debuginfo = dwfl_standard_find_debuginfo,
                                         .section_address = dwfl_offline_section_address};

static bool same_build(Dwfl_Module *module, const struct rf_report_module *wanted) {
  const unsigned char *id;
  GElf_Addr address;
  int length = dwfl_module_build_id(module, &id, &address);
  return wanted->build_id_bytes == 0 || length <= 0 ||
         ((uint32_t)length >= wanted->build_id_bytes &&
          !memcmp(id, wanted->build_id, wanted->build_id_bytes));
}

static void open_module(struct module_debug *debug, const struct rf_report_module *wanted) {
  debug->opened = true;
  if (wanted->path[0] != '/') return;
  Dwfl *session = dwfl_begin(&callbacks);
  if (!session) return;
  Dwfl_Module *module = dwfl_report_offline(session, "", wanted->path, -1);
  dwfl_report_end(session, NULL, NULL);
  GElf_Addr bias;
  if (!module || !dwfl_module_getelf(module, &bias) || !same_build(module, wanted)) {
    dwfl_end(session);
    return;
  }
  debug->session = session;
  debug->module = module;
}

static Dwfl_Module *module_of(const struct rf_report *report, struct rf_symbolizer *symbolizer,
                              uint32_t index) {
  if (index == RF_NO_MODULE) return NULL;
  struct module_debug *debug = &symbolizer->debug[index];
  if (!debug->opened) open_module(debug, &report->heap.module[index]);
  return debug->module;
}

void rf_symbolizer_free(struct rf_symbolizer *symbolizer) {
  for (size_t i = 0; symbolizer && i < symbolizer->modules; i++)
    if (symbolizer->debug[i].session) dwfl_end(symbolizer->debug[i].session);
}

/* --- one address --- */

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static const char *demangled(struct rf_arena *arena, const char *name) {
  char shown[4096];
  return rf_arena_text(arena, rf_demangle(name, shown, sizeof shown) ? shown : name);
}

static const char *nameless(const struct rf_report *report, const struct rf_report_frame *frame) {
  const char *module =
      frame->module == RF_NO_MODULE ? NULL : base_name(report->heap.module[frame->module].path);
  return module ? rf_arena_printf(report->arena, "%s+0x%llx", module, (unsigned long long)frame->address)
                : rf_arena_printf(report->arena, "0x%llx", (unsigned long long)frame->address);
}

static const char *die_name(struct rf_arena *arena, Dwarf_Die *die) {
  Dwarf_Attribute attribute;
  const char *name = NULL;
  if (dwarf_attr_integrate(die, DW_AT_linkage_name, &attribute) ||
      dwarf_attr_integrate(die, DW_AT_MIPS_linkage_name, &attribute))
    name = dwarf_formstring(&attribute);
  if (!name) name = dwarf_diename(die);
  return name ? demangled(arena, name) : NULL;
}

struct symbols {
  struct rf_report_symbol list[INLINED_MOST];
  size_t count;
};

static void call_place(Dwarf_Die *unit, Dwarf_Die *inlined, struct rf_report_symbol *place) {
  Dwarf_Attribute attribute;
  Dwarf_Word file = 0, line = 0;
  Dwarf_Files *files;
  size_t count;
  place->file = "";
  if (dwarf_attr(inlined, DW_AT_call_line, &attribute)) dwarf_formudata(&attribute, &line);
  if (dwarf_attr(inlined, DW_AT_call_file, &attribute)) dwarf_formudata(&attribute, &file);
  place->line = (unsigned)line;
  if (dwarf_getsrcfiles(unit, &files, &count) == 0 && file < count) {
    const char *name = dwarf_filesrc(files, file, NULL, NULL);
    if (name) place->file = name;
  }
}

/* The functions that the address is in, from its line outwards: each inlined one tells where it was called.
 */
static void add_inlined(const struct rf_report *report, Dwfl_Module *module, Dwarf_Addr address,
                        struct symbols *symbols) {
  Dwarf_Addr bias;
  Dwarf_Die *unit = dwfl_module_addrdie(module, address, &bias), *scopes = NULL;
  int count = unit ? dwarf_getscopes(unit, address - bias, &scopes) : 0;
  if (count >
      0) { /* getscopes follows the abstract tree behind the first inlined one: ask by the concrete die */
    Dwarf_Die innermost = scopes[0];
    free(scopes);
    scopes = NULL;
    count = dwarf_getscopes_die(&innermost, &scopes);
  }
  struct rf_report_symbol *place = &symbols->list[0]; /* has the line */
  for (int i = 0; i < count && symbols->count < INLINED_MOST - 1; i++) {
    int tag = dwarf_tag(&scopes[i]);
    if (tag != DW_TAG_inlined_subroutine && tag != DW_TAG_subprogram) continue;
    const char *name = die_name(report->arena, &scopes[i]);
    if (!name) break;
    place->function = name;
    symbols->count++;
    if (tag == DW_TAG_subprogram) break;
    place->inlined = true;
    place = &symbols->list[symbols->count];
    call_place(unit, &scopes[i], place);
  }
  free(scopes);
}

static void look_up(const struct rf_report *report, struct rf_symbolizer *symbolizer,
                    const struct rf_report_frame *frame, struct symbols *symbols) {
  Dwfl_Module *module = module_of(report, symbolizer, frame->module);
  symbols->list[0] = (struct rf_report_symbol){.function = "", .file = ""};
  GElf_Addr bias = 0;
  if (module) dwfl_module_getelf(module, &bias);
  Dwarf_Addr address = frame->address + bias - 1; /* inside the call */
  Dwfl_Line *line = module ? dwfl_module_getsrc(module, address) : NULL;
  int number = 0;
  const char *file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
  if (file) symbols->list[0].file = file, symbols->list[0].line = (unsigned)number;
  if (module) add_inlined(report, module, address, symbols);
  bool whole = symbols->count && !symbols->list[symbols->count - 1].inlined;
  if (whole) return;
  GElf_Off offset;
  GElf_Sym symbol;
  const char *name =
      module ? dwfl_module_addrinfo(module, address, &offset, &symbol, NULL, NULL, NULL) : NULL;
  symbols->list[symbols->count++].function = name ? demangled(report->arena, name) : nameless(report, frame);
}

/* --- what is known already --- */

struct rf_symbolizer *rf_symbolizer_new(struct rf_arena *arena, size_t modules) {
  struct rf_symbolizer *symbolizer = rf_arena_alloc(arena, sizeof *symbolizer);
  symbolizer->modules = modules;
  symbolizer->debug = rf_arena_alloc(arena, (modules + 1) * sizeof *symbolizer->debug);
  return symbolizer;
}

static struct known *place_of(const struct rf_symbolizer *symbolizer, const struct rf_report_frame *frame) {
  size_t i = (frame->address * 0x9e3779b97f4a7c15u >> 20 ^ frame->module) & (symbolizer->capacity - 1);
  while (symbolizer->known[i].symbol && (symbolizer->known[i].frame.address != frame->address ||
                                         symbolizer->known[i].frame.module != frame->module))
    i = (i + 1) & (symbolizer->capacity - 1);
  return &symbolizer->known[i];
}

static void make_room(const struct rf_report *report, struct rf_symbolizer *symbolizer) {
  if (2 * symbolizer->count < symbolizer->capacity) return;
  struct rf_symbolizer old = *symbolizer;
  symbolizer->capacity = old.capacity ? 2 * old.capacity : 1024;
  symbolizer->known = rf_arena_alloc(report->arena, symbolizer->capacity * sizeof *symbolizer->known);
  for (size_t i = 0; i < old.capacity; i++)
    if (old.known[i].symbol) *place_of(symbolizer, &old.known[i].frame) = old.known[i];
}

const struct rf_report_symbol *rf_symbols_of(const struct rf_report *report,
                                             const struct rf_report_frame *frame, size_t *count) {
  struct rf_symbolizer *symbolizer = report->symbolizer;
  make_room(report, symbolizer);
  struct known *known = place_of(symbolizer, frame);
  if (!known->symbol) {
    struct symbols symbols = {.count = 0};
    look_up(report, symbolizer, frame, &symbols);
    struct rf_report_symbol *copy = rf_arena_alloc(report->arena, symbols.count * sizeof *copy);
    memcpy(copy, symbols.list, symbols.count * sizeof *copy);
    for (size_t i = 0; i < symbols.count; i++) copy[i].file = rf_arena_text(report->arena, copy[i].file);
    *known = (struct known){*frame, copy, symbols.count};
    symbolizer->count++;
  }
  *count = known->count;
  return known->symbol;
}

char *rf_symbol_text(char *text, size_t size, const struct rf_report_symbol *symbol) {
  const char *inlined = symbol->inlined ? " [inlined]" : "";
  if (*symbol->file)
    snprintf(text, size, "%s (%s:%u)%s", symbol->function, base_name(symbol->file), symbol->line, inlined);
  else
    snprintf(text, size, "%s%s", symbol->function, inlined);
  return text;
}
