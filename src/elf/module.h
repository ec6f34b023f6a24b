/*
 * Loaded modules and what their files say about functions. Reads link maps' program headers in memory and
 * files by mmap; calls no loader function except dl_iterate_phdr, allocates from base/memory only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_module {
  const char
      *path; /* as the kernel knows it; the executable's is /proc/self/exe resolved; "[vdso]" for the vDSO */
  const char *name;               /* base name of path; the executable's: the one it was called by */
  uintptr_t load_address;         /* the difference between addresses and the file's virtual addresses */
  uintptr_t text_start, text_end; /* its executable segments' hull */
  uint8_t build_id[20];
  uint32_t build_id_bytes;
  const void *program_headers; /* ElfW(Phdr) array, in memory */
  size_t program_header_count;
  bool elsewhere; /* in another namespace than the program's (dlmopen) */
};

/* Every module that is loaded now, in link order, our own excluded; visit returns false to stop. Strings live
 * during the visit. */
void rf_modules_visit(bool (*visit)(void *user, const struct rf_module *module), void *user);

struct rf_segment {
  uintptr_t start, end;
};

/* Its readable executable segments, as far as the file fills them; answers how many, at most most. */
size_t rf_module_text_segments(const struct rf_module *module, struct rf_segment *segments, size_t most);

/* How many bytes from address on the file fills in a readable segment; 0: none. */
size_t rf_module_readable(const struct rf_module *module, uintptr_t address);
/* The same in a segment that nobody may write to. */
size_t rf_module_constant(const struct rf_module *module, uintptr_t address);

/* What a pointer in the dynamic section leads to; 0: out of the module. The loader replaces offsets by
 * addresses where it may write (not in the vDSO); both forms are understood. */
uintptr_t rf_module_pointer(const struct rf_module *module, uintptr_t value);
/* The bytes from address to the end of the kernel's vDSO; 0: it does not lie there. */
size_t rf_vdso_bytes(uintptr_t address);

/* From its first segment to its last, as far as the file fills it. */
struct rf_segment rf_module_hull(const struct rf_module *module);

/* Every address inside the module that its data holds: what the loader relocates, whether that has been done
 * yet or not; in an executable with fixed addresses, every aligned word of it that reads like one. Cost:
 * about 1 ns a relocation, or a word. */
void rf_module_pointers_visit(const struct rf_module *module, void (*visit)(void *user, uintptr_t address),
                              void *user);

enum rf_symbol_kind { RF_SYMBOL_FUNCTION, RF_SYMBOL_IFUNC };

struct rf_symbol {
  const char *name;  /* without version (name@VERSION is cut), not demangled; lives during the visit */
  uintptr_t address; /* in this process */
  size_t size;       /* 0: not known */
  enum rf_symbol_kind kind;
  bool global;
};

/*
 * Every function symbol of a module from .dynsym, .symtab, .gnu_debugdata (liblzma, dlopened), and the debug
 * file that build-id or .gnu_debuglink name under /usr/lib/debug (CRC and build-id checked). Each (name,
 * address) pair once per table, however many versions it has; the same pair may come from two tables.
 * Undefined, absolute and out-of-text symbols are left out. Lying tables are survived. Returns how many
 * tables were read (0: stripped and without dynamic symbols). where (may be NULL) receives a bit set: 1
 * dynsym, 2 symtab, 4 gnu_debugdata, 8 debug file.
 */
int rf_symbols_visit(const struct rf_module *module,
                     bool (*visit)(void *user, const struct rf_symbol *symbol), void *user, unsigned *where);
