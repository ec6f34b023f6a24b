/* One table of ELF symbols, copied out of a file or out of a loaded module's memory. */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/image.h"
#include "elf/module.h"

struct rf_symbol_table {
  Elf64_Sym *symbols;
  size_t count;
  char *strings; /* a zero byte stands behind the last */
  size_t strings_bytes;
  size_t symbols_pages, strings_pages; /* sizes of the two allocations */
  bool dynamic;                        /* its names come once a version, which it does not spell */
};

/* Copies the table of a section type (SHT_SYMTAB, SHT_DYNSYM) and its strings. False: there is none, or it
 * lies. */
bool rf_symbol_table_from_image(struct rf_symbol_table *table, const struct rf_image *image, uint32_t type);

/* Copies .dynsym from the module's own memory, which is there even where its file is gone. */
bool rf_symbol_table_from_memory(struct rf_symbol_table *table, const struct rf_module *module);

/* Calls visit for every function that the table defines inside the module's executable segments, each (name,
 * address) once, as far as only versions made them several. False: visit ended it. Cuts name@VERSION inside
 * the table's copy. Cost: 5 ns a function; 30 ns and 16 bytes where it has versions. */
bool rf_symbol_table_visit(struct rf_symbol_table *table, const struct rf_module *module,
                           bool (*visit)(void *user, const struct rf_symbol *symbol), void *user);

void rf_symbol_table_free(struct rf_symbol_table *table);
