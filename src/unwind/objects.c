/* Modules by address. Our own table is guarded by a sequence number: a search that meets a refresh tries
 * again a few times and then gives up, because the refresh may be what its signal handler interrupted. */
#include "unwind/objects.h"

#include <dlfcn.h>
#include <link.h>
#include <stddef.h>
#include <string.h>

#include "base/memory.h"

enum { OBJECTS_MAX = 4096, ATTEMPTS = 100 };

static struct {
  int (*find)(void *, struct dl_find_object *);
  struct rf_object *table; /* sorted by start */
  uint32_t count, sequence;
} objects;

static bool ask_loader(uintptr_t address, struct rf_object *object) {
  struct dl_find_object found;
  if (objects.find((void *)address, &found) != 0 || !found.dlfo_eh_frame) return false;
  *object =
      (struct rf_object){(uintptr_t)found.dlfo_map_start, (uintptr_t)found.dlfo_map_end, found.dlfo_eh_frame};
  return true;
}

static bool search(uintptr_t address, struct rf_object *object) {
  uint32_t low = 0, high = __atomic_load_n(&objects.count, __ATOMIC_RELAXED);
  while (low < high) {
    uint32_t middle = (low + high) / 2;
    if (objects.table[middle].end <= address)
      low = middle + 1;
    else
      high = middle;
  }
  if (low >= OBJECTS_MAX) return false;
  *object = objects.table[low];
  return address >= object->start && address < object->end;
}

static bool ask_table(uintptr_t address, struct rf_object *object) {
  for (int i = 0; objects.table && i < ATTEMPTS; i++) {
    uint32_t before = __atomic_load_n(&objects.sequence, __ATOMIC_ACQUIRE);
    if (before & 1) continue;
    bool found = search(address, object);
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    if (__atomic_load_n(&objects.sequence, __ATOMIC_RELAXED) == before) return found;
  }
  return false;
}

bool rf_object_find(uintptr_t address, struct rf_object *object) {
  return objects.find ? ask_loader(address, object) : ask_table(address, object);
}

static int add(struct dl_phdr_info *info, size_t size, void *user) {
  struct rf_object object = {UINTPTR_MAX, 0, NULL};
  for (int i = 0; i < info->dlpi_phnum; i++) {
    const ElfW(Phdr) *header = &info->dlpi_phdr[i];
    uintptr_t start = info->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) object.eh_frame_hdr = (const uint8_t *)start;
    if (header->p_type != PT_LOAD) continue;
    if (start < object.start) object.start = start;
    if (start + header->p_memsz > object.end) object.end = start + header->p_memsz;
  }
  if (!object.eh_frame_hdr || object.start >= object.end || objects.count >= OBJECTS_MAX) return 0;
  uint32_t at = objects.count++;
  for (; at > 0 && objects.table[at - 1].start > object.start; at--)
    objects.table[at] = objects.table[at - 1];
  objects.table[at] = object;
  return 0;
}

void rf_objects_refresh(void) {
  if (!objects.table) return;
  __atomic_add_fetch(&objects.sequence, 1, __ATOMIC_ACQ_REL);
  __atomic_thread_fence(__ATOMIC_RELEASE);
  objects.count = 0;
  dl_iterate_phdr(add, NULL);
  __atomic_add_fetch(&objects.sequence, 1, __ATOMIC_RELEASE);
}

void rf_objects_own_table(void) {
  if (!objects.table) objects.table = rf_pages(OBJECTS_MAX * sizeof *objects.table);
  rf_objects_refresh();
  objects.find = NULL;
}

void rf_objects_start(void) {
  void *find = dlsym(RTLD_DEFAULT, "_dl_find_object");
  memcpy(&objects.find, &find, sizeof find);
  if (!find) rf_objects_own_table();
}
