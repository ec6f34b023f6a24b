/*
 * Who called whom among the timed functions (trace.edges): per thread, calls and time of each pair, in the
 * recording. Under timing.budget weighted like everything else. General registers only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "arch/entry.h"

extern bool rf_edges_on __attribute__((visibility("hidden")));

void rf_edges_start(bool on);
/* A timed call of record's function from function caller (RF_NO_CALLER: none is known). Cost: about 3 ns for
 * pairs met before. */
RF_PRESERVE_ALL void rf_edge_add(const struct rf_record *record, uint32_t caller, uint64_t duration);
/* The same where the call stands for others that were not looked at: so much time of calls like it. */
RF_PRESERVE_ALL void rf_edge_add_time(const struct rf_record *record, uint32_t caller, uint64_t duration,
                                      uint64_t time);
/* The function of the record below, which is the caller while all calls are timed. */
uint32_t rf_edge_caller(struct rf_record *record);
