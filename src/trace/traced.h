/*
 * The functions that have an id. Ids are given once: a function that was removed, or whose library was
 * closed, comes back under its own. Kept are its place now and all that a forked child needs to record it
 * again. Named blocks of refunc.h have ids, too, without code.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "recording/format.h"
#include "trace/full.h"

#define RF_MOST_FUNCTIONS (1u << 18)

struct rf_module;

struct rf_traced {
  char *name, *aliases; /* symbols; aliases: by lines, NULL: none */
  char *path, *module;
  uint64_t offset, size; /* offset: from the module's load address */
  uintptr_t address;     /* 0: unloaded, or a block */
  uintptr_t load_address;
  bool by_slots; /* its code stays: calls are led to its stub where they come from (patch/slots.h) */
  struct rf_full full;
  uint8_t build_id[20];
  uint32_t build_id_bytes;
  uint32_t gone;   /* RF_FUNCTION_REMOVED, RF_FUNCTION_UNLOADED: it may come back */
  rf_ref recorded; /* its entry in functions[] */
};

/* Ids are given out under this lock, and what lies by id moves under it: a sweep's thread, and any that names
 * a block. Signals are blocked meanwhile; unlock takes lock's answer. */
uint64_t rf_traced_lock(void);
void rf_traced_unlock(uint64_t mask);

uint32_t rf_traced_count(void);
/* Until the next one is added. */
struct rf_traced *rf_traced_at(uint32_t id);
/* The id of the function that lies at address, or UINT32_MAX. */
uint32_t rf_traced_find(uintptr_t address);
/* The id that a function had before its library was closed, or UINT32_MAX. */
uint32_t rf_traced_find_unloaded(const struct rf_module *module, uint64_t offset, const char *name);

/* Gives fresh the next id and records it; its path, module, load address and build-id are module's; name and
 * aliases become the list's. False when the recording is full, or without memory. */
bool rf_traced_add(const struct rf_module *module, struct rf_traced fresh);
/* It was unloaded and lies at address now. False without memory. */
bool rf_traced_come_back(uint32_t id, const struct rf_module *module, uintptr_t address);
void rf_traced_unload(uint32_t id);
/* RF_FUNCTION_REMOVED, or 0: it is there again. */
void rf_traced_set_gone(uint32_t id, uint32_t gone);

/* From now on calls of all of them are accepted, and told as callers. */
void rf_traced_publish(void);

/* The id of a named block of refunc.h, made when it is new: recorded among the functions, but without code.
 * UINT32_MAX without room. Any thread, signal-safe; waits while another thread patches a module. */
uint32_t rf_traced_add_block(const char *name);

/* In a forked child with a new recording: records all again under the same ids. */
void rf_traced_record_again(void);

/* In the recording, what people call a function: demangled, and a clone by the name of its source. 0: as it
 * is. */
rf_ref rf_traced_shown(const char *name);
