/*
 * Which timed function a return address lies in. Under timing.budget a timed call's caller may itself have
 * been merely counted and left no record, so it is told by the address that the call returns to. Lookups:
 * general registers only, any thread, signal-safe.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_code_range {
  uintptr_t start, end;
  uint32_t id;
};

#define RF_NO_CALLER 0xfffffu

/* The ranges of all timed functions, sorted by start and not overlapping; they must stay: lookups may still
 * read older ones. */
void rf_callers_publish(const struct rf_code_range *ranges, size_t count);

/* The id of the function that return_address lies in, or RF_NO_CALLER. Cost: about 2 ns for addresses met
 * before. */
uint32_t rf_caller_at(uintptr_t return_address);
