/*
 * Allocation sites: from recordings into the model, and their call stacks as people read them.
 *
 *   parts of threads ─▶ sums by site ─▶ the largest get their stacks ─▶ merged over processes by module and offset
 */
#pragma once

#include "recording/reader.h"
#include "report/model.h"

/* How many sites a report tells singly; the rest is one sum. */
#define RF_SITES_MOST 10000

struct rf_site_merge; /* opaque */

/* The modules of one recording, to tell what an address in it belongs to. place: where the address was
 * recorded. */
struct rf_mapped_modules; /* opaque */
const struct rf_mapped_modules *rf_mapped_modules_read(struct rf_report *report,
                                                       const struct rf_reader *reader);
struct rf_report_frame rf_mapped_frame(const struct rf_mapped_modules *modules, rf_ref place,
                                       uint64_t address);

struct rf_site_merge *rf_sites_begin(struct rf_report *report);
void rf_sites_add(struct rf_site_merge *merge, const struct rf_reader *reader);
/* Sorts; the merge is gone afterwards. */
void rf_sites_end(struct rf_site_merge *merge);

/* The mean time that a site's freed blocks lived; NaN where none was measured. */
double rf_site_lifetime_s(const struct rf_report_site *site);
/* What alloc_bytes of a sampled recording lies in with 95% confidence; twice alloc_bytes itself in an exact
 * one.
 */
void rf_site_interval(const struct rf_report_site *site, double *low, double *high);
/* Standard error of alloc_bytes: 0 in an exact recording. */
double rf_site_stderr(const struct rf_report_site *site);

/* Whether it is suspected: its live bytes grow steadily, or nothing reachable points to its blocks. */
bool rf_site_leaks(const struct rf_report_site *site);
