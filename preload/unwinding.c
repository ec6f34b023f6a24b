/*
 * Where an unwinder says that a timed call's frame is. The entry's is told by a CFA that is off by one
 * (entry.S), so that unwinders keep it apart from its caller's and its callee's. A personality routine that
 * finds its own frame by that value, as LuaJIT's does, gets it as it would be without the entry: CFAs are
 * even otherwise. The unwinder itself asks by the same name, and gets what it goes by.
 */
#include <dlfcn.h>
#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "preload/export.h"
#include "preload/next.h"

struct _Unwind_Context;
typedef uintptr_t get_cfa(struct _Unwind_Context *context);
get_cfa _Unwind_GetCFA;

/* Libraries that have asked. They are few, and stay: threads read them without a lock. */
struct asker {
  const void *start, *end;
  get_cfa *next;
  bool unwinder;
};
enum { MOST = 16 };
static struct asker askers[MOST];
static unsigned used;

static const struct asker *find(const void *caller) {
  for (unsigned i = 0; i < MOST; i++) {
    const void *end = __atomic_load_n(&askers[i].end, __ATOMIC_ACQUIRE);
    if (!end) break;
    if (caller < end && caller >= askers[i].start) return &askers[i];
  }
  return NULL;
}

static void *in_library(const char *library) {
  void *handle = library && *library ? dlopen(library, RTLD_LAZY | RTLD_NOLOAD) : NULL;
  return handle ? dlsym(handle, "_Unwind_GetCFA") : NULL;
}

/* What everybody sees; where an unwinder is only seen by those that need it, the usual one, or the one that
 * the caller sees. */
static get_cfa *next_for(const struct link_map *caller) {
  rf_internal_enter();
  void *found = dlsym(RTLD_NEXT, "_Unwind_GetCFA");
  if (!found) found = in_library("libgcc_s.so.1");
  if (!found) found = in_library(caller ? caller->l_name : NULL);
  dlerror();
  rf_internal_leave();
  return (get_cfa *)found;
}

static struct asker look_up(const void *caller) {
  struct dl_find_object object = {0};
  bool known = _dl_find_object((void *)(uintptr_t)caller, &object) == 0;
  get_cfa *next = next_for(known ? object.dlfo_link_map : NULL);
  const char *at = (const char *)(uintptr_t)next;
  bool own = known && at >= (char *)object.dlfo_map_start && at < (char *)object.dlfo_map_end;
  return (struct asker){object.dlfo_map_start, object.dlfo_map_end, next, own};
}

/* Its end is stored last. */
static void keep(const struct asker *asker) {
  unsigned at = __atomic_fetch_add(&used, 1, __ATOMIC_RELAXED);
  if (at >= MOST) return;
  askers[at].start = asker->start, askers[at].next = asker->next, askers[at].unwinder = asker->unwinder;
  __atomic_store_n(&askers[at].end, asker->end, __ATOMIC_RELEASE);
}

EXPORT uintptr_t _Unwind_GetCFA(struct _Unwind_Context *context) {
  const void *caller = __builtin_return_address(0);
  const struct asker *known = find(caller);
  struct asker asker = known ? *known : look_up(caller);
  if (!asker.next) return 0;
  if (!known && asker.end) keep(&asker);
  uintptr_t cfa = asker.next(context);
  return asker.unwinder ? cfa : cfa & ~(uintptr_t)1;
}
