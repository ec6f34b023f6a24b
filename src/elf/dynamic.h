/*
 * What a loaded module's dynamic section says: where its relocations are, what they are named, and what a
 * name means in a module. Read from memory, where the loader has believed it already; still every table is
 * held against the module's segments.
 */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "elf/module.h"

struct rf_relocations {
  const Elf64_Rela *first;
  size_t count;
};

struct rf_dynamic {
  struct rf_module module; /* without its strings */
  char name[80];           /* base name of its file, as far as it fits */
  const Elf64_Sym *symbols;
  size_t symbol_room; /* at most so many */
  const char *strings;
  size_t strings_bytes;
  const uint16_t *versions;          /* by symbol; NULL: it has none */
  uintptr_t needs, definitions;      /* of versions; 0: none */
  uintptr_t gnu_hash, hash;          /* 0: none */
  struct rf_relocations data, calls; /* DT_RELA behind its relative ones, DT_JMPREL */
  struct rf_segment protected; /* what the loader makes read-only when relocation is done; may be empty */
  Elf64_Dyn *entries, *first_constructor; /* first_constructor: DT_INIT's entry; NULL: there is none */
  size_t entry_count;
  bool symbolic; /* names are looked up in itself first */
};

/* False: it has no dynamic section, or one that lies. Cost: about 1 us. */
bool rf_dynamic_read(const struct rf_module *module, struct rf_dynamic *dynamic);
/* The same of the module that this code is in. */
bool rf_dynamic_read_own(struct rf_dynamic *dynamic);

/* A name that a relocation refers to; version NULL: none is asked for. */
struct rf_reference {
  const char *name, *version;
};

/* What the relocation names; false: nothing. */
bool rf_dynamic_reference(const struct rf_dynamic *dynamic, const Elf64_Rela *relocation,
                          struct rf_reference *reference);
/* The definition that the loader would take for it in this module; NULL: none. Cost: about 0.1 us. */
const Elf64_Sym *rf_dynamic_find(const struct rf_dynamic *dynamic, const struct rf_reference *reference);
/* Whether it names the other one as needed (DT_NEEDED, by its DT_SONAME or its file's name). */
bool rf_dynamic_needs(const struct rf_dynamic *dynamic, const struct rf_dynamic *other);
