/* See validators.h. */
#include "validate/validators.h"

#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

#include "base/lock.h"
#include "base/memory.h"

static struct rf_validator_slot *slots;
static struct rf_lock lock;

static struct rf_validator_slot *slot_named(const char *name) {
  struct rf_validator_slot *slot = slots;
  while (slot && strcmp(slot->name, name) != 0) slot = slot->next;
  if (slot) return slot;
  slot = rf_calloc(1, sizeof *slot);
  if (!slot || !(slot->name = rf_strdup(name))) return NULL;
  slot->next = slots;
  return slots = slot;
}

bool rf_validator_register(const char *name, rf_validator_function *function, void *user) {
  rf_lock_take(&lock);
  struct rf_validator_slot *slot = slot_named(name);
  if (slot) {
    slot->function = NULL; /* so that nobody calls one with the other's user */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    slot->user = user;
    __atomic_store_n(&slot->function, function, __ATOMIC_RELEASE);
  }
  rf_lock_give(&lock);
  return slot != NULL;
}

void *rf_plugin_find(const char *path, const char *function, char *error, size_t error_bytes) {
  void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *found = library ? dlsym(library, function) : NULL;
  if (!library)
    snprintf(error, error_bytes, "%s can't be loaded: %s", path, dlerror());
  else if (!found)
    snprintf(error, error_bytes, "%s has no function '%s'", path, function);
  return found;
}

const struct rf_validator_slot *rf_validator_find(const char *name, char *error, size_t error_bytes) {
  rf_lock_take(&lock);
  struct rf_validator_slot *slot = slot_named(name);
  rf_lock_give(&lock);
  if (!slot) snprintf(error, error_bytes, "no memory");
  if (!slot || name[0] != '/' || slot->function) return slot;
  char path[4096];
  const char *colon = strrchr(name, ':');
  if (!colon || !colon[1] ||
      snprintf(path, sizeof path, "%.*s", (int)(colon - name), name) >= (int)sizeof path) {
    snprintf(error, error_bytes, "'%.60s': /path/plugin.so:function is expected", name);
    return NULL;
  }
  void *found = rf_plugin_find(path, colon + 1, error, error_bytes);
  if (!found) return NULL;
  slot->function = (rf_validator_function *)found;
  return slot;
}
