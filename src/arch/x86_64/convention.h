/*
 * Does a function keep to the platform's calling convention where timing relies on it? Across a timed call
 * the record waits in a callee-saved register (RECORD, see registers.h). Code of other languages' own
 * conventions (virtual machines' builtins, OCaml, GHC) and hand-written helpers use it as an argument or
 * leave it changed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether the function at code, of so many bytes (exact) or at most so many, takes something in RECORD or
 * changes it without saving it. Reads straight on, so a function whose body stands before its prologue is
 * suspected too. The decoder must be open. Cost: about 1 us; 50 ns an instruction of functions that save
 * nothing. */
bool rf_breaks_convention(const uint8_t *code, size_t bytes, bool exact);

/* Whether the function takes its return address off the stack, or reads it, before anything branches: it asks
 * who called it, or returns by other means than a return. Cost: about 5 ns an instruction. */
bool rf_takes_return_address(const uint8_t *code, size_t bytes);

/* Whether the function takes the flags as they are where it is called, or returns what its last comparison
 * left in them, as far as that can be seen in its first and, where it is short, its last instructions: timing
 * changes them. Cost: some 10 ns; 5 ns an instruction of functions of at most 64 bytes. */
bool rf_passes_flags(const uint8_t *code, size_t bytes, bool exact);
