/* What a name means is asked of the loader: every address that it has put into a GOT of this process is what
 * the lookup here finds, module for module in its order. */
#include <criterion/criterion.h>
#include <dlfcn.h>
#include <string.h>

#include "arch/slots.h"
#include "elf/dynamic.h"

enum { MOST = 256 };
static struct rf_dynamic modules[MOST];
static size_t count;

static bool collect(void *user, const struct rf_module *module) {
  (void)user;
  bool kernel = rf_vdso_bytes(module->text_start) != 0;
  if (!kernel && !module->elsewhere && count < MOST && rf_dynamic_read(module, &modules[count])) count++;
  return true;
}

static void collect_modules(void) {
  rf_modules_visit(collect, NULL);
  cr_assert_gt(count, 5);
}

TestSuite(dynamic, .init = collect_modules);

/* The first definition's address in the loader's order; 0: there is none, or only running it would tell. */
static uintptr_t meaning_of(const struct rf_reference *reference, bool *indirect) {
  for (size_t i = 0; i < count; i++) {
    const Elf64_Sym *symbol = rf_dynamic_find(&modules[i], reference);
    if (!symbol) continue;
    *indirect = ELF64_ST_TYPE(symbol->st_info) == STT_GNU_IFUNC;
    return modules[i].module.load_address + symbol->st_value;
  }
  return 0;
}

Test(dynamic, names_mean_what_the_loader_has_bound) {
  size_t compared = 0, with_version = 0;
  for (size_t m = 0; m < count; m++)
    for (size_t i = 0; i < modules[m].data.count; i++) {
      const Elf64_Rela *relocation = &modules[m].data.first[i];
      struct rf_reference reference;
      bool indirect = false;
      if (ELF64_R_TYPE(relocation->r_info) != RF_RELOCATION_ADDRESS ||
          !rf_dynamic_reference(&modules[m], relocation, &reference))
        continue;
      uintptr_t bound = *(const uintptr_t *)(modules[m].module.load_address + relocation->r_offset);
      uintptr_t found = meaning_of(&reference, &indirect);
      if (indirect || !strcmp(modules[m].name, "ld-linux-x86-64.so.2")) continue;
      cr_assert_eq(found, bound, "%s of %s in %s: %lx, bound to %lx", reference.name,
                   reference.version ? reference.version : "no version", modules[m].name,
                   (unsigned long)found, (unsigned long)bound);
      compared++;
      with_version += reference.version != NULL;
    }
  cr_assert(compared > 50 && with_version > 20, "only %zu compared, %zu with a version", compared,
            with_version);
}

Test(dynamic, versions_are_told_apart) {
  size_t several = 0;
  const char *const names[] = {"memcpy", "pthread_cond_wait", "nftw", "glob64", "regexec", "posix_spawn"};
  for (size_t i = 0; i < count; i++) {
    if (strncmp(modules[i].name, "libc.so", 7) != 0) continue;
    for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
      const Elf64_Sym *old = rf_dynamic_find(&modules[i], &(struct rf_reference){names[k], "GLIBC_2.2.5"});
      cr_assert_eq(rf_dynamic_find(&modules[i], &(struct rf_reference){names[k], "GLIBC_9.9"}), NULL);
      cr_assert_eq(rf_dynamic_find(&modules[i], &(struct rf_reference){"no_such_name", NULL}), NULL);
      void *wanted = dlvsym(RTLD_DEFAULT, names[k], "GLIBC_2.2.5");
      if (!old || !wanted || ELF64_ST_TYPE(old->st_info) == STT_GNU_IFUNC) continue;
      cr_assert_eq(modules[i].module.load_address + old->st_value, (uintptr_t)wanted, "%s", names[k]);
      several += dlsym(RTLD_DEFAULT, names[k]) != wanted;
    }
  }
  cr_assert_geq(several, 2);
}

Test(dynamic, modules_need_each_other) {
  size_t needed = 0;
  for (size_t i = 0; i < count; i++)
    if (!strncmp(modules[i].name, "libc.so", 7))
      for (size_t k = 0; k < count; k++) needed += rf_dynamic_needs(&modules[k], &modules[i]);
  cr_assert(needed > 2 && needed < count);
}
