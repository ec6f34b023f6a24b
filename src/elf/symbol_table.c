/*
 * See symbol_table.h. In memory the dynamic section gives .dynsym's place but not its length; the hash tables
 * do:
 *
 *   DT_HASH      nbucket nchain ...            nchain is the number of symbols
 *   DT_GNU_HASH  buckets ──▶ chains            the highest bucket's chain ends at the last hashed symbol (low bit set)
 *
 * Every address is held against the module's readable segments before it is followed.
 */
#include "elf/symbol_table.h"

#include <link.h>
#include <string.h>

#include "base/memory.h"

/* Executable segment that holds address; an empty one: none does. Most symbols lie where the last one did. */
static struct rf_segment text_at(const struct rf_module *module, uintptr_t address) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++) {
    if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_X)) continue;
    uintptr_t start = module->load_address + headers[i].p_vaddr;
    if (address - start < headers[i].p_memsz) return (struct rf_segment){start, start + headers[i].p_memsz};
  }
  return (struct rf_segment){0};
}

static bool is_text(const struct rf_module *module, struct rf_segment *last, uintptr_t address) {
  if (address - last->start < last->end - last->start) return true;
  struct rf_segment found = text_at(module, address);
  if (found.start == found.end) return false;
  *last = found;
  return true;
}

struct dynamic {
  uintptr_t symbols, strings, gnu_hash, hash;
  size_t strings_bytes;
};

static void take_entry(const struct rf_module *module, struct dynamic *dynamic, const Elf64_Dyn *entry) {
  switch (entry->d_tag) {
  case DT_SYMTAB: dynamic->symbols = rf_module_pointer(module, entry->d_un.d_ptr); break;
  case DT_STRTAB: dynamic->strings = rf_module_pointer(module, entry->d_un.d_ptr); break;
  case DT_STRSZ: dynamic->strings_bytes = entry->d_un.d_val; break;
  case DT_GNU_HASH: dynamic->gnu_hash = rf_module_pointer(module, entry->d_un.d_ptr); break;
  case DT_HASH: dynamic->hash = rf_module_pointer(module, entry->d_un.d_ptr); break;
  default: break;
  }
}

static bool read_dynamic(const struct rf_module *module, struct dynamic *dynamic) {
  const Elf64_Phdr *headers = module->program_headers;
  *dynamic = (struct dynamic){0};
  for (size_t i = 0; i < module->program_header_count; i++) {
    if (headers[i].p_type != PT_DYNAMIC) continue;
    uintptr_t at = module->load_address + headers[i].p_vaddr;
    size_t bytes = rf_module_readable(module, at);
    if (bytes > headers[i].p_memsz) bytes = headers[i].p_memsz;
    for (; bytes >= sizeof(Elf64_Dyn); at += sizeof(Elf64_Dyn), bytes -= sizeof(Elf64_Dyn)) {
      Elf64_Dyn entry;
      memcpy(&entry, (const void *)at, sizeof entry);
      if (entry.d_tag == DT_NULL) break;
      take_entry(module, dynamic, &entry);
    }
  }
  return dynamic->symbols && dynamic->strings;
}

static uint32_t word_at(uintptr_t base, size_t index) {
  uint32_t word;
  memcpy(&word, (const void *)(base + index * sizeof word), sizeof word);
  return word;
}

static size_t count_by_hash(const struct rf_module *module, uintptr_t hash) {
  return rf_module_readable(module, hash) >= 2 * sizeof(uint32_t) ? word_at(hash, 1) : 0;
}

static size_t count_by_gnu_hash(const struct rf_module *module, uintptr_t hash) {
  size_t words = rf_module_readable(module, hash) / sizeof(uint32_t);
  if (words < 4) return 0;
  size_t buckets = word_at(hash, 0), first = word_at(hash, 1), bloom = word_at(hash, 2);
  size_t bucket_start = 4 + 2 * bloom, chain_start = bucket_start + buckets;
  if (chain_start > words) return 0;
  size_t last = 0;
  for (size_t i = 0; i < buckets; i++) {
    size_t symbol = word_at(hash, bucket_start + i);
    if (symbol > last) last = symbol;
  }
  if (last < first) return first;
  for (size_t at = chain_start + (last - first); at < words; at++, last++)
    if (word_at(hash, at) & 1) return last + 1;
  return 0;
}

static void *copy_memory(uintptr_t start, size_t bytes, size_t *allocated) {
  void *copy = rf_pages(bytes + 1);
  if (!copy) return NULL;
  memcpy(copy, (const void *)start, bytes);
  *allocated = bytes + 1;
  return copy;
}

bool rf_symbol_table_from_memory(struct rf_symbol_table *table, const struct rf_module *module) {
  struct dynamic dynamic;
  *table = (struct rf_symbol_table){0};
  if (!read_dynamic(module, &dynamic)) return false;
  size_t count = dynamic.hash ? count_by_hash(module, dynamic.hash) : 0;
  if (count == 0 && dynamic.gnu_hash) count = count_by_gnu_hash(module, dynamic.gnu_hash);
  size_t room = rf_module_readable(module, dynamic.symbols) / sizeof(Elf64_Sym);
  if (count > room) count = room;
  size_t strings_bytes = rf_module_readable(module, dynamic.strings);
  if (dynamic.strings_bytes < strings_bytes) strings_bytes = dynamic.strings_bytes;
  if (count == 0 || strings_bytes == 0) return false;
  table->symbols = copy_memory(dynamic.symbols, count * sizeof(Elf64_Sym), &table->symbols_pages);
  table->strings = copy_memory(dynamic.strings, strings_bytes, &table->strings_pages);
  table->count = count;
  table->strings_bytes = strings_bytes;
  table->dynamic = true;
  if (table->symbols && table->strings) return true;
  rf_symbol_table_free(table);
  return false;
}

bool rf_symbol_table_from_image(struct rf_symbol_table *table, const struct rf_image *image, uint32_t type) {
  *table = (struct rf_symbol_table){0};
  const Elf64_Shdr *section = rf_image_section(image, type, NULL);
  if (!section || section->sh_entsize != sizeof(Elf64_Sym) || section->sh_link >= image->section_count)
    return false;
  const Elf64_Shdr *strings = &image->sections[section->sh_link];
  if (strings->sh_type != SHT_STRTAB || (section->sh_flags & SHF_COMPRESSED)) return false;
  table->symbols = rf_image_copy(image, section->sh_offset, section->sh_size, &table->symbols_pages);
  table->strings = rf_image_copy(image, strings->sh_offset, strings->sh_size, &table->strings_pages);
  table->count = (size_t)(section->sh_size / sizeof(Elf64_Sym));
  table->strings_bytes = (size_t)strings->sh_size;
  if (table->symbols && table->strings) return true;
  rf_symbol_table_free(table);
  return false;
}

void rf_symbol_table_free(struct rf_symbol_table *table) {
  if (table->symbols) rf_pages_free(table->symbols, table->symbols_pages);
  if (table->strings) rf_pages_free(table->strings, table->strings_pages);
  *table = (struct rf_symbol_table){0};
}

/* Versioned pairs seen, as 64-bit fingerprints: two of them meeting by chance among a million has odds of one
 * in 10^7.
 */
struct seen {
  uint64_t *slots;
  size_t mask;
};

static bool seen_prepare(struct seen *seen, size_t count) {
  size_t slots = 64;
  while (slots < 2 * count) slots *= 2;
  seen->slots = rf_pages(slots * sizeof(uint64_t));
  seen->mask = slots - 1;
  return seen->slots != NULL;
}

static uint64_t fingerprint(const char *name, uintptr_t address) {
  uint64_t hash = 0xcbf29ce484222325u ^ (address * 0x9e3779b97f4a7c15u);
  for (; *name; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
  hash ^= hash >> 32;
  return hash ? hash : 1;
}

/* Without memory everything is new. */
static bool seen_before(struct seen *seen, size_t count, uint64_t print) {
  if (!seen->slots && !seen_prepare(seen, count)) return false;
  size_t at = (print * 0x9e3779b97f4a7c15u) >> 20 & seen->mask;
  for (; seen->slots[at]; at = (at + 1) & seen->mask)
    if (seen->slots[at] == print) return true;
  seen->slots[at] = print;
  return false;
}

/* What keeps a symbol from being a function of this module: undefined, absolute, another type, outside the
 * text. */
static bool is_function(const Elf64_Sym *symbol) {
  unsigned type = ELF64_ST_TYPE(symbol->st_info);
  if (type != STT_FUNC && type != STT_GNU_IFUNC) return false;
  if (symbol->st_shndx == SHN_XINDEX) return true;
  return symbol->st_shndx != SHN_UNDEF && symbol->st_shndx < SHN_LORESERVE;
}

/* versioned: the name may come once more. */
static char *symbol_name(struct rf_symbol_table *table, const Elf64_Sym *symbol, bool *versioned) {
  if (symbol->st_name >= table->strings_bytes) return NULL;
  char *name = table->strings + symbol->st_name;
  char *version = strchr(name, '@');
  *versioned = version || table->dynamic;
  if (version && version > name) *version = '\0'; /* names that share this tail are cut at the same place */
  return *name ? name : NULL;
}

bool rf_symbol_table_visit(struct rf_symbol_table *table, const struct rf_module *module,
                           bool (*visit)(void *user, const struct rf_symbol *symbol), void *user) {
  struct seen seen = {0};
  struct rf_segment text = {0};
  bool more = true, versioned;
  for (size_t i = 0; i < table->count && more; i++) {
    const Elf64_Sym *entry = &table->symbols[i];
    if (!is_function(entry)) continue;
    uintptr_t address = module->load_address + entry->st_value;
    char *name = is_text(module, &text, address) ? symbol_name(table, entry, &versioned) : NULL;
    if (!name || (versioned && seen_before(&seen, table->count, fingerprint(name, address)))) continue;
    struct rf_symbol symbol = {
        .name = name,
        .address = address,
        .size = entry->st_size,
        .kind = ELF64_ST_TYPE(entry->st_info) == STT_GNU_IFUNC ? RF_SYMBOL_IFUNC : RF_SYMBOL_FUNCTION,
        .global = ELF64_ST_BIND(entry->st_info) != STB_LOCAL,
    };
    more = visit(user, &symbol);
  }
  if (seen.slots) rf_pages_free(seen.slots, (seen.mask + 1) * sizeof(uint64_t));
  return more;
}
