/*
 * See spots.h. Open addressing: a place is taken by storing its address last, and does not become empty again
 * while there are others (a search would end there too early), only free for another.
 */
#include "patch/spots.h"

#include <stdbool.h>

enum { PLACES = 1 << 12, FREE_AGAIN = 1 };

struct spot {
  uintptr_t address, section;
};

static struct spot spots[PLACES];
static uint32_t used, live; /* places that are not empty; that hold an address */

static uint32_t place_of(uintptr_t address) {
  return (uint32_t)((address * 0x9e3779b97f4a7c15ull) >> 52) % PLACES;
}

static bool usable(const struct spot *spot, uintptr_t address) {
  return !spot->address || spot->address == FREE_AGAIN || spot->address == address;
}

void rf_spots_add(uintptr_t address, uintptr_t section) {
  uint32_t at = place_of(address);
  while (!usable(&spots[at], address)) at = (at + 1) % PLACES;
  if (!spots[at].address && used >= PLACES / 2) return;
  used += !spots[at].address;
  live += spots[at].address != address;
  spots[at].section = section;
  __atomic_store_n(&spots[at].address, address, __ATOMIC_RELEASE);
}

uintptr_t rf_spots_find(uintptr_t address) {
  for (uint32_t at = place_of(address);; at = (at + 1) % PLACES) {
    uintptr_t here = __atomic_load_n(&spots[at].address, __ATOMIC_ACQUIRE);
    if (here == address) return spots[at].section;
    if (!here) return 0;
  }
}

static void forget(struct spot *spot) {
  __atomic_store_n(&spot->address, FREE_AGAIN, __ATOMIC_RELEASE);
  if (--live) return;
  for (uint32_t i = 0; i < PLACES; i++) __atomic_store_n(&spots[i].address, 0, __ATOMIC_RELAXED);
  used = 0;
}

void rf_spots_forget(uintptr_t low, uintptr_t high) {
  for (uint32_t i = 0; live && i < PLACES; i++)
    if (spots[i].address > FREE_AGAIN && spots[i].address >= low && spots[i].address < high)
      forget(&spots[i]);
}

void rf_spots_forget_section(uintptr_t section) {
  for (uint32_t i = 0; live && i < PLACES; i++)
    if (spots[i].address > FREE_AGAIN && spots[i].section == section) forget(&spots[i]);
}
