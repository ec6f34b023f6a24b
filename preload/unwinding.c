/*
 * Where an unwinder says that a timed call's frame is. The entry's is told by a CFA that is off by one (entry.S), so
 * that unwinders keep it apart from its caller's and its callee's. A personality routine that finds its own frame by
 * that value, as LuaJIT's does, gets it as it would be without the entry: CFAs are even otherwise. The unwinder itself
 * asks by the same name, and gets what it goes by.
 */
#include <dlfcn.h>
#include <stdint.h>

#include "preload/export.h"
#include "preload/next.h"

struct _Unwind_Context;
uintptr_t _Unwind_GetCFA(struct _Unwind_Context *context);

/* Where the caller's libraries are not among those that everybody sees, the usual one. */
static void *usual(void) {
  rf_internal_enter();
  void *library = dlopen("libgcc_s.so.1", RTLD_LAZY | RTLD_NOLOAD);
  void *found = library ? dlsym(library, "_Unwind_GetCFA") : NULL;
  rf_internal_leave();
  return found;
}

static bool is_unwinder(const void *caller, const void *next) {
  struct dl_find_object object;
  return _dl_find_object((void *)(uintptr_t)next, &object) == 0 && caller >= object.dlfo_map_start &&
         caller < object.dlfo_map_end;
}

EXPORT uintptr_t _Unwind_GetCFA(struct _Unwind_Context *context) {
  static void *fallback;
  __typeof__(&_Unwind_GetCFA) next = NEXT(_Unwind_GetCFA);
  if (!next && !fallback) fallback = usual();
  if (!next) next = (__typeof__(next))fallback;
  if (!next) return 0;
  uintptr_t cfa = next(context);
  return is_unwinder(__builtin_return_address(0), (const void *)(uintptr_t)next) ? cfa : cfa & ~(uintptr_t)1;
}
