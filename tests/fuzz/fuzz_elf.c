/* Any bytes as an ELF file: once as a file on disk would be read, once as the memory of a module that was
 * loaded from it, and, where it names a debug file, as that. */
// sources: src/elf/image.c src/elf/segments.c src/elf/symbol_table.c src/elf/minidebug.c src/elf/debug_file.c
// sources: src/base/*.c src/arch/x86_64/clone.S
// libraries: -lyaml -llzma
#include <stdint.h>
#include <stdlib.h>

#include "../../src/elf/symbols.c"

#define HOLDS(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) abort();                                                                               \
  } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A symbol is a function inside the text that the program headers give, and has a name. */
static bool check(void *user, const struct rf_symbol *symbol) {
  const struct rf_module *module = user;
  const Elf64_Phdr *headers = module->program_headers;
  bool inside = false;
  HOLDS(symbol->name[0] != '\0' && (symbol->name[0] == '@' || !strchr(symbol->name, '@')));
  for (size_t i = 0; i < module->program_header_count; i++)
    inside |= headers[i].p_type == PT_LOAD && (headers[i].p_flags & PF_X) &&
              symbol->address - module->load_address - headers[i].p_vaddr < headers[i].p_memsz;
  HOLDS(inside);
  return true;
}

/* The file's own program headers, as far as a loader could have honoured them: segments lie where the file's
 * bytes are. */
static size_t loadable_headers(const uint8_t *data, size_t size, Elf64_Phdr headers[16]) {
  Elf64_Ehdr header;
  if (size < sizeof header) return 0;
  memcpy(&header, data, sizeof header);
  size_t count = header.e_phnum < 16 ? header.e_phnum : 16;
  if (header.e_phoff > size || size - header.e_phoff < count * sizeof *headers) return 0;
  memcpy(headers, data + header.e_phoff, count * sizeof *headers);
  for (size_t i = 0; i < count; i++)
    if (headers[i].p_type == PT_LOAD &&
        (headers[i].p_vaddr > size || headers[i].p_memsz > size - headers[i].p_vaddr))
      headers[i].p_type = PT_NULL;
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Elf64_Phdr headers[16];
  uint8_t *copy = malloc(size + 1); /* to the byte: what is read behind it is found out */
  memcpy(copy, data, size);
  struct rf_module module = {.path = "/nowhere/lib.so",
                             .name = "lib.so",
                             .load_address = (uintptr_t)copy,
                             .program_headers = headers,
                             .program_header_count = loadable_headers(data, size, headers)};
  module.name = module.path + strlen("/nowhere/");
  struct visit visit = {.module = &module, .call = check, .user = &module};
  struct rf_symbol_table table;
  struct rf_image image;
  if (rf_symbol_table_from_memory(&table, &module)) visit_table(&visit, &table, FROM_DYNSYM);
  if (rf_image_wrap(&image, copy, size, NULL)) {
    module.build_id_bytes = (uint32_t)rf_image_build_id(&image, module.build_id);
    same_file(&module, &image);
    visit_file(&visit, &image);
    rf_image_close(&image);
  }
  free(copy);
  return 0;
}
