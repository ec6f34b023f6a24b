/*
 * A module's functions, from every table that can be had:
 *
 *   memory ──▶ .dynsym            exported functions; there even for a deleted file
 *   file ────▶ .symtab            all of them, unless stripped; if stripped:
 *        ├───▶ .gnu_debugdata     local functions
 *        └───▶ debug file         all of them
 *
 * A file is believed only when its program headers and build id are those that were loaded: an upgrade may
 * have put another file in its place.
 */
#include <string.h>

#include "base/memory.h"
#include "elf/debug_file.h"
#include "elf/image.h"
#include "elf/minidebug.h"
#include "elf/module.h"
#include "elf/symbol_table.h"

enum { FROM_DYNSYM = 1, FROM_SYMTAB = 2, FROM_DEBUGDATA = 4, FROM_DEBUG_FILE = 8 };

struct visit {
  const struct rf_module *module;
  bool (*call)(void *user, const struct rf_symbol *symbol);
  void *user;
  int tables;
  unsigned where;
  bool ended;
};

static void visit_table(struct visit *visit, struct rf_symbol_table *table, unsigned where) {
  visit->tables++;
  visit->where |= where;
  visit->ended = !rf_symbol_table_visit(table, visit->module, visit->call, visit->user);
  rf_symbol_table_free(table);
}

/* Whether the file is the one that was loaded. */
static bool same_file(const struct rf_module *module, const struct rf_image *image) {
  size_t bytes = module->program_header_count * sizeof(Elf64_Phdr), allocated;
  if (image->header.e_phnum != module->program_header_count ||
      image->header.e_phentsize != sizeof(Elf64_Phdr))
    return false;
  void *headers = rf_image_copy(image, image->header.e_phoff, bytes, &allocated);
  if (!headers) return false;
  bool same = memcmp(headers, module->program_headers, bytes) == 0;
  rf_pages_free(headers, allocated);
  uint8_t id[20];
  size_t id_bytes = same ? rf_image_build_id(image, id) : 0;
  return same && (id_bytes == 0 || module->build_id_bytes == 0 ||
                  (id_bytes == module->build_id_bytes && memcmp(id, module->build_id, id_bytes) == 0));
}

/* A renamed, deleted or chrooted program is still behind /proc/self/exe. */
static bool open_file(const struct rf_module *module, struct rf_image *image) {
  const char *const paths[] = {module->path, "/proc/self/exe"};
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    if (paths[i][0] != '/' || !rf_image_open(image, paths[i])) continue;
    if (same_file(module, image)) return true;
    rf_image_close(image);
  }
  return false;
}

static bool visit_image(struct visit *visit, const struct rf_image *image, unsigned where) {
  struct rf_symbol_table table;
  if (!rf_symbol_table_from_image(&table, image, SHT_SYMTAB)) return false;
  visit_table(visit, &table, where);
  return true;
}

static void visit_file(struct visit *visit, const struct rf_image *image) {
  struct rf_image other;
  if (visit_image(visit, image, FROM_SYMTAB)) return;
  if (rf_minidebug_open(image, &other)) {
    visit_image(visit, &other, FROM_DEBUGDATA);
    rf_image_close(&other);
  }
  if (!visit->ended && rf_debug_file_open(visit->module, image, &other)) {
    visit_image(visit, &other, FROM_DEBUG_FILE);
    rf_image_close(&other);
  }
}

int rf_symbols_visit(const struct rf_module *module,
                     bool (*visit)(void *user, const struct rf_symbol *symbol), void *user, unsigned *where) {
  struct visit state = {.module = module, .call = visit, .user = user};
  struct rf_symbol_table dynamic;
  struct rf_image image;
  if (rf_symbol_table_from_memory(&dynamic, module)) visit_table(&state, &dynamic, FROM_DYNSYM);
  if (!state.ended && open_file(module, &image)) {
    visit_file(&state, &image);
    rf_image_close(&image);
  }
  if (where) *where = state.where;
  return state.tables;
}
