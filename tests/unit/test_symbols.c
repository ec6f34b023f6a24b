/*
 * Loaded modules and their functions, against what binutils' readelf reads from the same files. Libraries
 * that are stripped, packed, renamed, replaced or that lie are made on the spot with gcc and objcopy.
 */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/module.h"

/* ---- Collecting ---- */

struct symbol {
  char *name;
  uintptr_t offset;
  size_t size;
  char kind;    /* F function, I IFUNC */
  char binding; /* G global or weak, L local */
};

struct symbols {
  struct symbol *list;
  size_t count;
  uintptr_t load_address;
};

static void add_symbol(struct symbols *symbols, struct symbol symbol) {
  symbols->list = realloc(symbols->list, (symbols->count + 1) * sizeof *symbols->list);
  symbols->list[symbols->count++] = symbol;
}

static int compare(const void *a, const void *b) {
  const struct symbol *x = a, *y = b;
  int names = strcmp(x->name, y->name);
  if (names != 0) return names;
  return x->offset < y->offset ? -1 : x->offset > y->offset;
}

/* Sorts; each (name, offset) once. */
static void settle(struct symbols *symbols) {
  size_t kept = 0;
  if (symbols->count == 0) return;
  qsort(symbols->list, symbols->count, sizeof *symbols->list, compare);
  for (size_t i = 1; i < symbols->count; i++)
    if (compare(&symbols->list[kept], &symbols->list[i]) != 0) symbols->list[++kept] = symbols->list[i];
  symbols->count = kept + 1;
}

static const struct symbol *find(const struct symbols *symbols, const char *name) {
  for (size_t i = 0; i < symbols->count; i++)
    if (strcmp(symbols->list[i].name, name) == 0) return &symbols->list[i];
  return NULL;
}

static bool collect(void *user, const struct rf_symbol *symbol) {
  struct symbols *symbols = user;
  add_symbol(symbols,
             (struct symbol){strdup(symbol->name), symbol->address - symbols->load_address, symbol->size,
                             symbol->kind == RF_SYMBOL_IFUNC ? 'I' : 'F', symbol->global ? 'G' : 'L'});
  return true;
}

struct wanted {
  const char *path; /* ends with it; NULL: the program */
  struct rf_module module;
  char found_path[4096];
  bool found;
};

static bool find_module(void *user, const struct rf_module *module) {
  struct wanted *wanted = user;
  size_t length = strlen(module->path), suffix = strlen(wanted->path);
  if (length < suffix || strcmp(module->path + length - suffix, wanted->path) != 0) return true;
  wanted->module = *module;
  snprintf(wanted->found_path, sizeof wanted->found_path, "%s", module->path);
  wanted->module.path = wanted->found_path;
  wanted->module.name = wanted->found_path + (module->name - module->path);
  wanted->found = true;
  return false;
}

static struct rf_module *module_of(const char *path) {
  static struct wanted wanted;
  wanted = (struct wanted){.path = path};
  rf_modules_visit(find_module, &wanted);
  return wanted.found ? &wanted.module : NULL;
}

/* The functions of a loaded module; *where as rf_symbols_visit has it. */
static struct symbols symbols_of(const char *path, unsigned *where, int *tables) {
  struct symbols symbols = {0};
  const struct rf_module *module = module_of(path);
  cr_assert(module, "%s is not loaded", path);
  symbols.load_address = module->load_address;
  *tables = rf_symbols_visit(module, collect, &symbols, where);
  for (size_t i = 0; i < symbols.count; i++) {
    uintptr_t address = symbols.load_address + symbols.list[i].offset;
    cr_assert(address >= module->text_start && address < module->text_end, "%s lies outside the text",
              symbols.list[i].name);
    cr_assert_not(strchr(symbols.list[i].name, '@'), "%s", symbols.list[i].name);
  }
  return symbols;
}

/* What readelf says: functions of one table (".dynsym" or ".symtab") of a file. */
static struct symbols oracle(const char *file, const char *table) {
  struct symbols symbols = {0};
  char command[8192], line[65536];
  snprintf(command, sizeof command, "readelf -W %s '%s' 2>/dev/null",
           strcmp(table, ".dynsym") == 0 ? "--dyn-syms" : "--syms", file);
  FILE *pipe = popen(command, "r");
  bool inside = false;
  while (fgets(line, sizeof line, pipe)) {
    char type[32], binding[32], visibility[32], section[64], name[60000];
    unsigned long value;
    char size[32];
    if (strncmp(line, "Symbol table", 12) == 0) inside = strstr(line, table) != NULL;
    if (!inside || sscanf(line, " %*d: %lx %31s %31s %31s %31s %63s %59999s", &value, size, type, binding,
                          visibility, section, name) != 7)
      continue;
    if (strcmp(section, "UND") == 0 || strcmp(section, "ABS") == 0) continue;
    if (strcmp(type, "FUNC") != 0 && strcmp(type, "IFUNC") != 0) continue;
    name[strcspn(name, "@")] = '\0';
    add_symbol(&symbols, (struct symbol){strdup(name), value, strtoul(size, NULL, 0), type[0],
                                         strcmp(binding, "LOCAL") == 0 ? 'L' : 'G'});
  }
  pclose(pipe);
  settle(&symbols);
  return symbols;
}

static void expect_same(const struct symbols *got, const struct symbols *expected, const char *what) {
  cr_expect_eq(got->count, expected->count, "%s: %zu functions instead of %zu", what, got->count,
               expected->count);
  size_t wrong = 0;
  for (size_t i = 0; i < got->count && i < expected->count && wrong < 5; i++) {
    const struct symbol *g = &got->list[i], *e = &expected->list[i];
    bool same = compare(g, e) == 0 && g->size == e->size && g->kind == e->kind && g->binding == e->binding;
    cr_expect(same, "%s: %s at %lx (%zu, %c%c) instead of %s at %lx (%zu, %c%c)", what, g->name, g->offset,
              g->size, g->kind, g->binding, e->name, e->offset, e->size, e->kind, e->binding);
    wrong += !same;
  }
}

/* ---- Real libraries ---- */

Test(symbols, dynsym_of_real_libraries_as_readelf_has_it, .timeout = 60) {
  static const char *const libraries[] = {"libc.so.6",      "libpython3.11.so.1.0",
                                          "libstdc++.so.6", "libsqlite3.so.0",
                                          "libm.so.6",      "ld-linux-x86-64.so.2"};
  size_t compared = 0;
  for (size_t i = 0; i < sizeof libraries / sizeof *libraries; i++) {
    char path[4096], resolved[4096];
    struct link_map *map;
    void *library = dlopen(libraries[i], RTLD_NOW | RTLD_LOCAL);
    if (!library || dlinfo(library, RTLD_DI_LINKMAP, &map) != 0) continue;
    snprintf(path, sizeof path, "%s", map->l_name);
    cr_assert(realpath(path, resolved));
    unsigned where;
    int tables;
    struct symbols got = symbols_of(resolved, &where, &tables), expected = oracle(resolved, ".dynsym");
    cr_expect(where & 1);
    /* other tables come after it, none of them with names of its own where the file is stripped */
    if (where == 1) {
      size_t raw = got.count;
      settle(&got);
      cr_expect_eq(raw, got.count, "%s: a (name, address) twice", libraries[i]);
      expect_same(&got, &expected, libraries[i]);
      compared++;
    } else {
      for (size_t s = 0; s < expected.count; s++)
        cr_assert(s >= got.count || find(&got, expected.list[s].name), "%s lacks %s", libraries[i],
                  expected.list[s].name);
    }
  }
  cr_expect_geq(compared, 1u);
}

Test(symbols, symtab_of_this_program_as_readelf_has_it) {
  char path[4096] = "";
  cr_assert_gt(readlink("/proc/self/exe", path, sizeof path - 1), 0);
  unsigned where;
  int tables;
  struct symbols got = symbols_of(path, &where, &tables), expected = oracle(path, ".symtab"),
                 dynamic = oracle(path, ".dynsym");
  for (size_t i = 0; i < dynamic.count; i++) add_symbol(&expected, dynamic.list[i]);
  cr_expect_eq(where & 2, 2u);
  settle(&got);
  settle(&expected);
  expect_same(&got, &expected, "this program");
  const struct symbol *here = find(&got, "rf_symbols_visit");
  cr_assert(here);
  cr_expect_eq(here->offset + got.load_address, (uintptr_t)&rf_symbols_visit);
}

/* ---- Modules ---- */

struct listing {
  char names[65536];
  size_t count, programs, vdsos, texts;
};

static bool list_module(void *user, const struct rf_module *module) {
  struct listing *listing = user;
  char exe[4096] = "";
  cr_expect_gt(readlink("/proc/self/exe", exe, sizeof exe - 1), 0);
  listing->count++;
  listing->programs += strcmp(module->path, exe) == 0;
  listing->vdsos += strcmp(module->path, "[vdso]") == 0;
  uintptr_t strlen_address = (uintptr_t)dlsym(RTLD_DEFAULT, "getenv");
  listing->texts += strlen_address >= module->text_start && strlen_address < module->text_end;
  cr_expect_eq(
      strcmp(module->name, strrchr(module->path, '/') ? strrchr(module->path, '/') + 1 : module->path), 0);
  strcat(strcat(listing->names, module->name), "\n");
  return true;
}

static bool stop(void *user, const struct rf_module *module) {
  ++*(int *)user;
  return false;
}

Test(modules, each_once_with_its_path) {
  static struct listing listing;
  rf_modules_visit(list_module, &listing);
  cr_expect_eq(listing.programs, 1u);
  cr_expect_eq(listing.vdsos, 1u);
  cr_expect_eq(listing.texts, 1u);
  cr_expect(strstr(listing.names, "libc.so.6\n"));
  int visits = 0;
  rf_modules_visit(stop, &visits);
  cr_expect_eq(visits, 1);
}

Test(modules, those_that_dlopen_and_dlmopen_bring_and_dlclose_takes) {
  static struct listing before, during, after;
  rf_modules_visit(list_module, &before);
  void *library = dlmopen(LM_ID_NEWLM, "libz.so.1", RTLD_NOW);
  cr_assert(library);
  rf_modules_visit(list_module, &during);
  cr_expect(strstr(during.names, "libz.so.1"), "%s", during.names);
  cr_expect_eq(during.count, before.count + 2); /* and a libc of its own, but no loader */
  dlclose(library);
  rf_modules_visit(list_module, &after);
  cr_expect_eq(after.count, before.count);
  cr_expect_str_eq(after.names, before.names);
}

Test(modules, build_id_as_readelf_has_it) {
  const struct rf_module *module = module_of("/libc.so.6");
  cr_assert(module);
  char command[4200], line[512], id[64] = "";
  snprintf(command, sizeof command, "readelf -nW '%s'", module->path);
  FILE *pipe = popen(command, "r");
  while (fgets(line, sizeof line, pipe))
    if (strstr(line, "Build ID: ")) sscanf(strstr(line, "Build ID: "), "Build ID: %63s", id);
  pclose(pipe);
  char got[64] = "";
  for (uint32_t i = 0; i < module->build_id_bytes; i++) sprintf(got + 2 * i, "%02x", module->build_id[i]);
  cr_expect_str_eq(got, id);
}

/* ---- Made on the spot ---- */

static char folder[] = "/tmp/refunc-symbols-XXXXXX";

static void sh(const char *format, const char *argument) {
  char command[4096];
  snprintf(command, sizeof command, format, argument);
  cr_assert_eq(system(command), 0, "%s", command);
}

static void enter(void) {
  cr_assert(mkdtemp(folder));
  cr_assert_eq(chdir(folder), 0);
  sh("printf 'static __attribute__((noinline)) int hidden_one(int x) { return x * 3; }\\n"
     "static __attribute__((noinline)) int hidden_two(int x) { return hidden_one(x) + 1; }\\n"
     "int shown(int x) { return hidden_two(x); }\\n' > %s",
     "lib.c");
}

static void leave(void) {
  cr_assert_eq(chdir("/"), 0);
  sh("rm -rf '%s'", folder);
}

/* Loads ./lib.so and returns its functions. */
static struct symbols load(unsigned *where) {
  char path[4096];
  int tables;
  snprintf(path, sizeof path, "%s/lib.so", folder);
  cr_assert(dlopen(path, RTLD_NOW | RTLD_LOCAL), "%s", dlerror());
  return symbols_of(path, where, &tables);
}

TestSuite(made, .init = enter, .fini = leave);

#define BUILD "gcc -O1 -g -shared -fPIC %s -o lib.so lib.c && "

Test(made, with_symtab) {
  unsigned where;
  sh(BUILD "true", "");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 3u);
  cr_expect(find(&symbols, "hidden_one") && find(&symbols, "hidden_one")->binding == 'L');
  cr_expect(find(&symbols, "shown") && find(&symbols, "shown")->binding == 'G');
  cr_expect_not(find(&symbols, "lib.c"));
}

Test(made, versioned_names_are_cut) {
  unsigned where;
  sh("printf '__asm__(\".symver old_shown,shown@V0\"); int old_shown(int x) { return x + 9; }\n' >> lib.c && "
     "printf 'V0 { }; V1 { global: shown; local: *; } V0;' > map && "
     "gcc -O1 -shared -fPIC -Wl,--version-script=map %s -o lib.so lib.c && readelf -Ws lib.so | grep -q "
     "'shown@V0'",
     "");
  struct symbols symbols = load(&where);
  size_t shown = 0;
  for (size_t i = 0; i < symbols.count; i++) shown += strcmp(symbols.list[i].name, "shown") == 0;
  cr_expect_eq(shown, 4u); /* two versions in two tables */
}

Test(made, stripped) {
  unsigned where;
  sh(BUILD "strip lib.so", "");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 1u);
  cr_expect(find(&symbols, "shown"));
  cr_expect_not(find(&symbols, "hidden_one"));
}

Test(made, old_hash_table_only) {
  unsigned where;
  sh(BUILD "strip lib.so", "-Wl,--hash-style=sysv");
  struct symbols symbols = load(&where);
  cr_expect(find(&symbols, "shown"));
}

Test(made, gnu_hash_table_only) {
  unsigned where;
  sh(BUILD "strip lib.so", "-Wl,--hash-style=gnu");
  struct symbols symbols = load(&where), expected = oracle("lib.so", ".dynsym");
  settle(&symbols);
  expect_same(&symbols, &expected, "gnu hash");
}

Test(made, without_section_headers) {
  unsigned where;
  sh(BUILD "python3 -c \"d=bytearray(open('lib.so','rb').read()); d[40:48]=bytes(8); d[58:64]=bytes(6); "
           "open('lib.so','wb').write(d)\"",
     "");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 1u);
  cr_expect(find(&symbols, "shown"));
}

#define SPLIT                                                                                                \
  "objcopy --only-keep-debug lib.so lib.debug && strip lib.so && objcopy --add-gnu-debuglink=lib.debug "     \
  "lib.so"

Test(made, debuglink_beside) {
  unsigned where;
  sh(BUILD SPLIT, "");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 9u);
  cr_expect(find(&symbols, "hidden_two"));
}

Test(made, debuglink_in_dot_debug_without_build_id) {
  unsigned where;
  sh(BUILD SPLIT " && mkdir .debug && mv lib.debug .debug/", "-Wl,--build-id=none");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 9u);
  cr_expect(find(&symbols, "hidden_two"));
}

Test(made, debuglink_whose_crc_is_wrong) {
  unsigned where;
  sh(BUILD SPLIT " && printf x >> lib.debug", "-Wl,--build-id=none");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 1u);
  cr_expect_not(find(&symbols, "hidden_two"));
}

Test(made, debuglink_whose_build_id_is_another) {
  unsigned where;
  sh(BUILD SPLIT " && gcc -O0 -g -shared -fPIC -Wl,--build-id=0x1234 -o other.so lib.c && "
                 "objcopy --only-keep-debug other.so lib.debug",
     "");
  load(&where);
  cr_expect_eq(where, 1u);
}

Test(made, debug_file_by_build_id) {
  unsigned where;
  static const char id[] = "/usr/lib/debug/.build-id/00/77665544332211.debug";
  if (access("/usr/lib/debug/.build-id", W_OK) != 0 && mkdir("/usr/lib/debug/.build-id", 0755) != 0)
    cr_skip_test("/usr/lib/debug is not writable");
  sh(BUILD "mkdir -p /usr/lib/debug/.build-id/00 && objcopy --only-keep-debug lib.so "
           "/usr/lib/debug/.build-id/00/77665544332211.debug && strip lib.so",
     "-Wl,--build-id=0x0077665544332211");
  struct symbols symbols = load(&where);
  unlink(id);
  rmdir("/usr/lib/debug/.build-id/00");
  cr_expect_eq(where, 9u);
  cr_expect(find(&symbols, "hidden_two"));
}

#define PACK                                                                                                 \
  "cp lib.so mini && strip --strip-debug --remove-section=.comment mini && xz -f mini && strip lib.so && "   \
  "objcopy --add-section .gnu_debugdata=mini.xz lib.so"

Test(made, minidebuginfo) {
  unsigned where;
  sh(BUILD PACK, "");
  struct symbols symbols = load(&where);
  cr_expect_eq(where, 5u);
  cr_expect(find(&symbols, "hidden_one") && find(&symbols, "hidden_two"));
}

Test(made, minidebuginfo_that_is_broken) {
  unsigned where;
  sh(BUILD
     "strip lib.so && head -c 3000 /dev/urandom > noise && objcopy --add-section .gnu_debugdata=noise lib.so",
     "");
  load(&where);
  cr_expect_eq(where, 1u);
}

Test(made, minidebuginfo_that_is_a_bomb) {
  unsigned where;
  sh(BUILD "strip lib.so && head -c 600M /dev/zero | xz -1 > bomb && objcopy --add-section "
           ".gnu_debugdata=bomb lib.so",
     "");
  load(&where);
  cr_expect_eq(where, 1u);
}

static void load_then_with(const char *options, const char *change, unsigned expected) {
  unsigned where;
  int tables;
  char path[4096];
  snprintf(path, sizeof path, "%s/lib.so", folder);
  sh(BUILD "true", options);
  cr_assert(dlopen(path, RTLD_NOW | RTLD_LOCAL));
  const struct rf_module *module = module_of(path);
  cr_assert(module);
  sh("%s", change);
  struct symbols symbols = {.load_address = module->load_address};
  tables = rf_symbols_visit(module, collect, &symbols, &where);
  cr_expect_eq(where, expected, "%s: %u", change, where);
  cr_expect_geq(tables, 1);
  cr_expect(find(&symbols, "shown"));
  cr_expect_eq(!!find(&symbols, "hidden_one"), expected == 3);
  module = module_of("/lib.so"); /* found again, now with the kernel's idea of its path */
  cr_expect(module);
}

static void load_then(const char *change, unsigned expected) { load_then_with("", change, expected); }

Test(made, deleted_after_loading) { load_then("rm lib.so", 1); }
Test(made, replaced_after_loading) {
  load_then("gcc -O0 -g -shared -fPIC -o new.so lib.c && rm lib.so && mv new.so lib.so", 1);
}
Test(made, replaced_without_build_id_after_loading) {
  load_then_with(
      "-Wl,--build-id=none",
      "printf 'int more(void) { return 1; }' >> lib.c && gcc -O0 -shared -fPIC -Wl,--build-id=none -o new.so "
      "lib.c && mv new.so lib.so",
      1);
}
Test(made, replaced_by_one_that_differs_in_its_build_id_only) {
  load_then_with("-Wl,--build-id=0x1122334455",
                 "gcc -O1 -g -shared -fPIC -Wl,--build-id=0x1122334466 -o new.so lib.c && mv new.so lib.so",
                 1);
}
Test(made, deleted_before_it_is_looked_at) {
  char path[4096];
  snprintf(path, sizeof path, "%s/lib.so", folder);
  sh(BUILD "true", "");
  cr_assert(dlopen(path, RTLD_NOW | RTLD_LOCAL));
  unlink(path);
  unsigned where;
  int tables;
  struct symbols symbols = symbols_of(path, &where, &tables); /* by its old path */
  cr_expect_eq(where, 1u);
  cr_expect(find(&symbols, "shown"));
}
Test(made, named_by_a_relative_path_and_a_link) {
  sh(BUILD "ln -s lib.so link.so", "");
  char path[4096];
  snprintf(path, sizeof path, "%s/lib.so", folder);
  cr_assert(dlopen("./link.so", RTLD_NOW | RTLD_LOCAL));
  cr_assert_eq(chdir("/"), 0);
  unsigned where;
  int tables;
  symbols_of(path, &where, &tables);
  cr_expect_eq(where, 3u);
  cr_assert_eq(chdir(folder), 0);
}

Test(made, replaced_by_its_like_after_loading) { load_then("cp lib.so new.so && mv new.so lib.so", 3); }
Test(made, sections_cut_off_after_loading) { load_then("truncate -s -3000 lib.so", 1); }

/* ---- Symbol tables that lie ---- */

/* Where the section headers of .symtab and .strtab, and the tables themselves, begin in the file. */
struct places {
  size_t symtab_header, strtab_header, symtab, strtab, symbols;
};

static struct places places_of(const unsigned char *file) {
  const Elf64_Ehdr *header = (const Elf64_Ehdr *)file;
  const Elf64_Shdr *sections = (const Elf64_Shdr *)(file + header->e_shoff);
  struct places places = {0};
  for (size_t i = 0; i < header->e_shnum; i++)
    if (sections[i].sh_type == SHT_SYMTAB) {
      size_t strings = sections[i].sh_link;
      places = (struct places){header->e_shoff + i * sizeof *sections,
                               header->e_shoff + strings * sizeof *sections, sections[i].sh_offset,
                               sections[strings].sh_offset, sections[i].sh_size / 24};
    }
  return places;
}

static unsigned char *bytes;
static size_t byte_count;

static void read_library(void) {
  FILE *file = fopen("lib.so", "rb");
  bytes = malloc(1 << 20);
  byte_count = fread(bytes, 1, 1 << 20, file);
  fclose(file);
}

static void put(size_t offset, uint64_t value, size_t size) { memcpy(bytes + offset, &value, size); }

static bool visit_after_writing(unsigned *where) {
  static int number;
  char path[4096];
  int tables;
  snprintf(path, sizeof path, "%s/lie%d.so", folder, number++);
  FILE *file = fopen(path, "wb");
  fwrite(bytes, 1, byte_count, file);
  fclose(file);
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
  struct symbols symbols = symbols_of(path, where, &tables);
  cr_expect(find(&symbols, "shown"));
  dlclose(library);
  return true;
}

Test(made, lies_in_every_field, .timeout = 60) {
  static const uint64_t values[] = {
      0, 1, 0x7fffffff, 0xffffffff, UINT64_MAX, UINT64_MAX - 23, 0x7fffffffffffffff, 4096};
  sh(BUILD "true", "");
  read_library();
  struct places places = places_of(bytes);
  const size_t headers[] = {places.symtab_header, places.strtab_header};
  static const struct {
    size_t offset, size;
  } fields[] = {{0, 4}, {4, 4}, {16, 8}, {24, 8}, {32, 8}, {40, 4}, {56, 8}};
  unsigned where;
  for (size_t h = 0; h < 2; h++)
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++)
      for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        uint64_t kept;
        memcpy(&kept, bytes + headers[h] + fields[f].offset, 8);
        put(headers[h] + fields[f].offset, values[v], fields[f].size);
        cr_expect(visit_after_writing(&where), "%zu %zu", f, v);
        cr_expect(where & 1);
        memcpy(bytes + headers[h] + fields[f].offset, &kept, 8);
      }
  cr_expect(visit_after_writing(&where));
  cr_expect_eq(where, 3u);
}

Test(made, symbols_that_lie) {
  sh(BUILD "true", "");
  read_library();
  struct places places = places_of(bytes);
  unsigned where;
  srand(3);
  for (size_t i = 0; i < places.symbols; i++) put(places.symtab + 24 * i, (uint32_t)rand(), 4); /* names */
  cr_expect(visit_after_writing(&where));
  for (size_t i = 0; i < places.symbols; i++) { /* all of them functions, anywhere */
    put(places.symtab + 24 * i, (uint32_t)i, 4);
    put(places.symtab + 24 * i + 4, 2, 1);
    put(places.symtab + 24 * i + 6, 1, 2);
    put(places.symtab + 24 * i + 8, (uint64_t)rand() << 33 ^ (uint64_t)rand(), 8);
  }
  cr_expect(visit_after_writing(&where));
}
