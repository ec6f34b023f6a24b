/*
 * Which module an address lies in, and where that module's call frame information is. glibc 2.35 and newer
 * answer with _dl_find_object, without locks; with an older one a table of our own, filled from
 * dl_iterate_phdr, does.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_object {
  uintptr_t start, end; /* its mapping's hull; not all of it need be readable */
  const uint8_t *eh_frame_hdr;
};

/* At start, before any search. Not signal-safe. */
void rf_objects_start(void);

/* Refreshes our own table, where there is one, after modules came or went. One caller at a time; not
 * signal-safe. */
void rf_objects_refresh(void);

/* False: no module with call frame information there. Any thread, signal-safe. Cost: about 20 ns. */
bool rf_object_find(uintptr_t address, struct rf_object *object);

/* For tests: use our own table even where the loader has _dl_find_object. */
void rf_objects_own_table(void);
