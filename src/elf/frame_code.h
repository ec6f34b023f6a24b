/*
 * What a module's call frame information (.eh_frame) says about one function, as instructions that can be
 * copied: the patcher moves a function's first instructions elsewhere, and their frames with them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_module;

struct rf_frame_bytes {
  const uint8_t *at, *end;
};

struct rf_frame_code {
  struct rf_frame_bytes initial, program; /* the CIE's instructions, the FDE's */
  uintptr_t begin, size;                  /* the code that the program is for */
  uint64_t code_align;
  int64_t data_align;
  bool signal, handlers; /* handlers: exceptions may lead into the middle of it */
};

/* LEB128 numbers; past the end they read as 0. */
uint64_t rf_frame_uleb(struct rf_frame_bytes *from);
int64_t rf_frame_sleb(struct rf_frame_bytes *from);

/* The information that covers address; false where the module has none, or not in the form that linkers
 * write. Cost: about 0.2 us. */
bool rf_frame_code_find(const struct rf_module *module, uintptr_t address, struct rf_frame_code *code);
