/*
 * Allocation sites: one a call stack, numbered, and of each a part for every thread that allocated or freed
 * its blocks. A thread writes its own parts only; what must be known of all together (the site's own peak) is
 * folded in when it has drifted by 64 KiB, as the process's peak is.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/thread.h"
#include "recording/format.h"

/* Which part a thread has of which site: pages of places in the recording, by the site's number. */
struct rf_site_parts {
  rf_ref **page;
};

/* Number 1: blocks whose stack could not be recorded. Once, and again in a forked child; signals blocked or
 * single-threaded. */
bool rf_sites_start(bool sampled);
/* The number of the site with this stack; 1 where there is no room for another (counted as dropped).
 * Signal-safe. Cost: 1 ns for one that exists, about 1 us for a new one. */
uint32_t rf_sites_number(rf_ref stack);
/* This thread's part of a site; NULL without room (counted as dropped). Signal-safe. Cost: 2 ns, 1 us for the
 * first time. */
struct rf_site_part *rf_sites_part(struct rf_thread *thread, struct rf_site_parts *parts, uint32_t site);

/* The entry of a site that has a number. */
struct rf_site_entry *rf_sites_entry(uint32_t site);

/* One call of `calls` units: an allocation or the end of one, in a part of the calling thread. */
void rf_site_alloc(struct rf_site_part *part, uint64_t calls, uint64_t requested, uint64_t bytes);
void rf_site_free(struct rf_site_part *part, uint64_t calls, uint64_t bytes);
