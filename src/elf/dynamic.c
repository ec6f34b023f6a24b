/* See dynamic.h. Symbols are found by the same tables as the loader finds them, and their versions told apart
 * by its rules (elf/dl-lookup.c of glibc is their description). */
#include "elf/dynamic.h"

#include <string.h>

extern const Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden")));

enum { HIDDEN = 0x8000, INDEX = 0x7fff, FIRST_NAMED = 2 };

/* ---- reading it ---- */

static void take_relocations(struct rf_relocations *to, const struct rf_module *module, uintptr_t table,
                             size_t bytes) {
  uintptr_t at = table ? rf_module_pointer(module, table) : 0;
  size_t room = at ? rf_module_readable(module, at) : 0;
  *to = (struct rf_relocations){(const Elf64_Rela *)at, (bytes < room ? bytes : room) / sizeof(Elf64_Rela)};
}

/* The value of the first entry of that kind; 0: there is none. */
static uintptr_t value_of(const struct rf_dynamic *d, Elf64_Sxword tag) {
  for (size_t i = 0; i < d->entry_count; i++)
    if (d->entries[i].d_tag == tag) return d->entries[i].d_un.d_val;
  return 0;
}

static uintptr_t pointer_of(const struct rf_dynamic *d, Elf64_Sxword tag) {
  uintptr_t value = value_of(d, tag);
  return value ? rf_module_pointer(&d->module, value) : 0;
}

static void find_entries(struct rf_dynamic *d, const Elf64_Phdr *header) {
  uintptr_t at = d->module.load_address + header->p_vaddr;
  size_t bytes = rf_module_readable(&d->module, at);
  if (bytes > header->p_memsz) bytes = header->p_memsz;
  d->entries = (Elf64_Dyn *)at;
  while ((d->entry_count + 1) * sizeof *d->entries <= bytes && d->entries[d->entry_count].d_tag != DT_NULL)
    d->entry_count++;
}

static void read_headers(struct rf_dynamic *d) {
  const Elf64_Phdr *headers = d->module.program_headers;
  for (size_t i = 0; i < d->module.program_header_count; i++) {
    uintptr_t start = d->module.load_address + headers[i].p_vaddr;
    if (headers[i].p_type == PT_DYNAMIC) find_entries(d, &headers[i]);
    if (headers[i].p_type == PT_GNU_RELRO)
      d->protected = (struct rf_segment){start, start + headers[i].p_memsz};
  }
}

static void read_relocations(struct rf_dynamic *d) {
  size_t relative = value_of(d, DT_RELACOUNT);
  take_relocations(&d->data, &d->module, value_of(d, DT_RELA), value_of(d, DT_RELASZ));
  if (relative > d->data.count) relative = d->data.count;
  d->data.first += relative, d->data.count -= relative;
  if (value_of(d, DT_PLTREL) == DT_RELA)
    take_relocations(&d->calls, &d->module, value_of(d, DT_JMPREL), value_of(d, DT_PLTRELSZ));
}

bool rf_dynamic_read(const struct rf_module *module, struct rf_dynamic *d) {
  *d = (struct rf_dynamic){.module = *module};
  if (module->name) strncpy(d->name, module->name, sizeof d->name - 1);
  d->module.path = d->module.name = NULL;
  read_headers(d);
  uintptr_t symbols = pointer_of(d, DT_SYMTAB), strings = pointer_of(d, DT_STRTAB);
  if (!symbols || !strings) return false;
  d->symbols = (const Elf64_Sym *)symbols;
  d->symbol_room = rf_module_readable(module, symbols) / sizeof *d->symbols;
  d->strings = (const char *)strings;
  d->strings_bytes = value_of(d, DT_STRSZ);
  if (!d->strings_bytes || d->strings_bytes > rf_module_readable(module, strings)) return false;
  d->versions = (const uint16_t *)pointer_of(d, DT_VERSYM);
  d->needs = pointer_of(d, DT_VERNEED);
  d->definitions = pointer_of(d, DT_VERDEF);
  d->gnu_hash = pointer_of(d, DT_GNU_HASH);
  d->hash = pointer_of(d, DT_HASH);
  d->symbolic = value_of(d, DT_FLAGS) & DF_SYMBOLIC;
  for (size_t i = 0; i < d->entry_count; i++) {
    if (d->entries[i].d_tag == DT_SYMBOLIC) d->symbolic = true;
    if (d->entries[i].d_tag == DT_INIT) d->first_constructor = &d->entries[i];
  }
  read_relocations(d);
  return true;
}

bool rf_dynamic_read_own(struct rf_dynamic *dynamic) {
  struct rf_module own = {.load_address = (uintptr_t)&__ehdr_start,
                          .program_headers = (const char *)&__ehdr_start + __ehdr_start.e_phoff,
                          .program_header_count = __ehdr_start.e_phnum};
  return rf_dynamic_read(&own, dynamic);
}

/* ---- names ---- */

static const char *string_at(const struct rf_dynamic *d, size_t offset) {
  return offset < d->strings_bytes ? d->strings + offset : "";
}

/* The name of a version that the module asks others for. */
static const char *needed_version(const struct rf_dynamic *d, uint16_t index) {
  for (uintptr_t at = d->needs; at;) {
    const Elf64_Verneed *need = (const Elf64_Verneed *)at;
    uintptr_t one = at + need->vn_aux;
    for (unsigned i = 0; i < need->vn_cnt; i++) {
      const Elf64_Vernaux *aux = (const Elf64_Vernaux *)one;
      if ((aux->vna_other & INDEX) == index) return string_at(d, aux->vna_name);
      one += aux->vna_next;
    }
    at = need->vn_next ? at + need->vn_next : 0;
  }
  return NULL;
}

/* The name of one that it defines. */
static const char *defined_version(const struct rf_dynamic *d, uint16_t index) {
  for (uintptr_t at = d->definitions; at;) {
    const Elf64_Verdef *definition = (const Elf64_Verdef *)at;
    const Elf64_Verdaux *aux = (const Elf64_Verdaux *)(at + definition->vd_aux);
    if ((definition->vd_ndx & INDEX) == index) return string_at(d, aux->vda_name);
    at = definition->vd_next ? at + definition->vd_next : 0;
  }
  return NULL;
}

bool rf_dynamic_reference(const struct rf_dynamic *d, const Elf64_Rela *relocation,
                          struct rf_reference *reference) {
  size_t index = ELF64_R_SYM(relocation->r_info);
  if (!index || index >= d->symbol_room) return false;
  reference->name = string_at(d, d->symbols[index].st_name);
  uint16_t version = d->versions ? d->versions[index] & INDEX : 0;
  reference->version = version < FIRST_NAMED ? NULL : needed_version(d, version);
  if (version >= FIRST_NAMED && !reference->version) reference->version = defined_version(d, version);
  return *reference->name != '\0';
}

/* ---- what a name means ---- */

struct choice {
  const struct rf_dynamic *dynamic;
  const struct rf_reference *wanted;
  const Elf64_Sym *found, *newest; /* newest: has a version, which nobody asked for */
  unsigned newest_count;
};

static bool is_definition(const Elf64_Sym *symbol) {
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  bool usual = type <= STT_FUNC || type == STT_COMMON || type == STT_GNU_IFUNC;
  return usual && symbol->st_shndx != SHN_UNDEF && symbol->st_value &&
         ELF64_ST_BIND(symbol->st_info) != STB_LOCAL;
}

static void consider(struct choice *c, size_t index) {
  const struct rf_dynamic *d = c->dynamic;
  if (c->found || index >= d->symbol_room) return;
  const Elf64_Sym *symbol = &d->symbols[index];
  if (!is_definition(symbol) || strcmp(string_at(d, symbol->st_name), c->wanted->name) != 0) return;
  uint16_t version = d->versions ? d->versions[index] : 0;
  const char *name = (version & INDEX) >= FIRST_NAMED ? defined_version(d, version & INDEX) : NULL;
  if (c->wanted->version) {
    if (name ? !strcmp(name, c->wanted->version) : !(version & HIDDEN)) c->found = symbol;
  } else if ((version & INDEX) <= FIRST_NAMED) {
    c->found = symbol;
  } else if (!(version & HIDDEN) && c->newest_count++ == 0) {
    c->newest = symbol;
  }
}

static uint32_t word_at(uintptr_t table, size_t index) {
  uint32_t word;
  memcpy(&word, (const void *)(table + index * sizeof word), sizeof word);
  return word;
}

static void by_gnu_hash(struct choice *c) {
  uintptr_t table = c->dynamic->gnu_hash;
  uint32_t hash = 5381, buckets = word_at(table, 0), first = word_at(table, 1), bloom = word_at(table, 2),
           shift = word_at(table, 3) & 31;
  for (const char *at = c->wanted->name; *at; at++) hash = hash * 33 + (unsigned char)*at;
  if (!buckets || !bloom) return;
  uint64_t filter;
  memcpy(&filter, (const void *)(table + 16 + 8 * (size_t)(hash / 64 % bloom)), sizeof filter);
  if (!(filter >> (hash % 64) & filter >> ((hash >> shift) % 64) & 1)) return;
  size_t chains = 4 + 2 * (size_t)bloom + buckets;
  size_t index = word_at(table, 4 + 2 * (size_t)bloom + hash % buckets);
  if (index < first) return;
  for (uint32_t one = 0; !(one & 1) && index < c->dynamic->symbol_room; index++) {
    one = word_at(table, chains + index - first);
    if ((one | 1) == (hash | 1)) consider(c, index);
  }
}

static void by_hash(struct choice *c) {
  uintptr_t table = c->dynamic->hash;
  uint32_t hash = 0, buckets = word_at(table, 0), count = word_at(table, 1), left = count;
  for (const char *at = c->wanted->name; *at; at++) {
    hash = (hash << 4) + (unsigned char)*at;
    hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
  }
  if (!buckets) return;
  for (uint32_t index = word_at(table, 2 + hash % buckets); index && index < count && left--;
       index = word_at(table, 2 + (size_t)buckets + index))
    consider(c, index);
}

const Elf64_Sym *rf_dynamic_find(const struct rf_dynamic *d, const struct rf_reference *reference) {
  struct choice c = {.dynamic = d, .wanted = reference};
  if (d->gnu_hash)
    by_gnu_hash(&c);
  else if (d->hash)
    by_hash(&c);
  return c.found ? c.found : c.newest_count == 1 ? c.newest : NULL;
}

bool rf_dynamic_needs(const struct rf_dynamic *d, const struct rf_dynamic *other) {
  uintptr_t soname = value_of(other, DT_SONAME);
  const char *name = soname ? string_at(other, soname) : other->name;
  for (size_t i = 0; i < d->entry_count; i++) {
    const char *needed = d->entries[i].d_tag == DT_NEEDED ? string_at(d, d->entries[i].d_un.d_val) : "";
    const char *slash = strrchr(needed, '/');
    if (*needed && !strcmp(!soname && slash ? slash + 1 : needed, name)) return true;
  }
  return false;
}
