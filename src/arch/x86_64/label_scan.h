/*
 * Finds by their bytes alone the instructions that take an address: of a label, a jump table, or anything
 * else. What it finds may be the inside of some other instruction. Cost: about a quarter of a ns a byte.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "arch/x86_64/branch_scan.h"

/* Calls found for every place in the range that reads like an address taken by its distance: from is a byte
 * of the instruction. */
void rf_label_scan(const struct rf_scan_range *range, void (*found)(void *user, size_t from, size_t to),
                   void *user);

/* ... and for every 4 bytes whose value is an address in [low, high); from is where they lie. indexed: they
 * read like the beginning of an array of words that is loaded from, or jumped through, by an index. */
void rf_absolute_scan(const struct rf_scan_range *range, uintptr_t low, uintptr_t high,
                      void (*found)(void *user, size_t from, size_t to, bool indexed), void *user);
