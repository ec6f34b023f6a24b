/*
 * The moment when a library that is being opened is relocated, and none of its code has run. The loader's
 * notification comes before relocation, and nothing between that and the constructors; so the library's first
 * constructor is put off by ours:
 *
 *   notification ─▶ DT_INIT = head n ─▶ relocation ─▶ head n: push n; jmp entry ─▶ ... ─▶ the constructor
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_dynamic;

/* Has entry called, with the number of a head, before the constructors of a library that is not relocated
 * yet. False: it has no DT_INIT (linkers give one to whatever they link with libc's start files), or no
 * memory. */
bool rf_constructor_precede(const struct rf_dynamic *dynamic, const void *entry);
/* Its turn has come: puts the constructor back and answers where it lies. *news: of all that were put off
 * none had its turn before. */
uintptr_t rf_constructor_take(uint32_t head, bool *news);
/* That library is gone. */
void rf_constructor_forget(uintptr_t load_address);
