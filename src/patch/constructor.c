/* See constructor.h. The loader reads the entry of the dynamic section when it calls the constructor, once.
 */
#include "patch/constructor.h"

#include "arch/stub.h"
#include "base/memory.h"
#include "elf/dynamic.h"
#include "patch/data.h"
#include "patch/text.h"

#define PAGE 4096
#define HEADS (PAGE / RF_STUB_HEAD)

/* By head. */
static struct put_off {
  struct rf_dynamic dynamic;  /* load_address 0: free */
  uint64_t constructor, head; /* values of DT_INIT */
} put_off[HEADS];
static uint8_t *heads;
static bool waiting; /* some were put off since the last one had its turn */

static bool make_heads(const void *entry) {
  if (heads) return true;
  uint8_t *page = rf_pages(PAGE);
  for (uint32_t i = 0; page && i < HEADS; i++) rf_stub_head(page + (size_t)i * RF_STUB_HEAD, i, entry);
  if (!page || rf_text_seal(page, PAGE) != 0) return false;
  heads = page;
  return true;
}

static uintptr_t place_of(const struct rf_dynamic *d) { return (uintptr_t)&d->first_constructor->d_un.d_ptr; }

bool rf_constructor_precede(const struct rf_dynamic *d, const void *entry) {
  uintptr_t load = d->module.load_address;
  if (!d->first_constructor || !load || !make_heads(entry)) return false;
  for (uint32_t i = 0; i < HEADS; i++) {
    struct put_off *p = &put_off[i];
    if (p->dynamic.module.load_address == load) return true;
    if (p->dynamic.module.load_address) continue;
    *p = (struct put_off){.dynamic = *d,
                          .constructor = d->first_constructor->d_un.d_ptr,
                          .head = (uintptr_t)heads + (uintptr_t)i * RF_STUB_HEAD - load};
    bool done =
        rf_data_replace(place_of(d), p->constructor, p->head, rf_data_protection(d, place_of(d), false));
    if (!done) p->dynamic.module.load_address = 0;
    waiting |= done;
    return done;
  }
  return false;
}

uintptr_t rf_constructor_take(uint32_t head, bool *news) {
  struct put_off *p = &put_off[head];
  const struct rf_dynamic *d = &p->dynamic;
  uintptr_t constructor = d->module.load_address + p->constructor;
  rf_data_replace(place_of(d), p->head, p->constructor, rf_data_protection(d, place_of(d), true));
  p->dynamic.module.load_address = 0;
  *news = waiting;
  waiting = false;
  return constructor;
}

void rf_constructor_forget(uintptr_t load_address) {
  for (uint32_t i = 0; i < HEADS; i++)
    if (put_off[i].dynamic.module.load_address == load_address) put_off[i].dynamic.module.load_address = 0;
}
