/* Recordings made by hand, byte for byte as format.h says, for tests of the reader's side. */
#pragma once

#include <stdint.h>

#include "recording/format.h"

struct fixture {
  char *bytes; /* zeroed, of FIXTURE_BYTES: places in it stay where they are */
  uint64_t used;
  struct rf_header *header;
};

/* A finished process: 1 GHz, started at 1000 s, ran for 10 s, exit status 0. */
struct fixture fixture_new(void);
void fixture_free(struct fixture *f);

rf_ref fixture_string(struct fixture *f, const char *text);
/* One more entry at the end of a chain; gives its place. */
void *fixture_append(struct fixture *f, rf_ref *root, enum rf_table kind, const void *entry,
                     uint32_t entry_bytes);
void fixture_fact(struct fixture *f, const char *key, const char *value);
void fixture_option(struct fixture *f, const char *key, const char *value, const char *origin);
void fixture_skipped(struct fixture *f, const char *name, const char *module, const char *reason);
void fixture_unmatched(struct fixture *f, const char *pattern, const char *reason, const char *nearest);
/* Adds a function; gives its id. Functions of one module have its name as build-id. */
uint32_t fixture_function(struct fixture *f, const char *name, const char *module, uint64_t offset,
                          uint32_t flags);
struct rf_thread_entry *fixture_thread(struct fixture *f);
struct rf_slot *fixture_slot(struct fixture *f, struct rf_thread_entry *thread, uint32_t function);
/* A call that took that many cycles, all of it its own. */
void fixture_call(struct fixture *f, struct rf_slot *slot, uint64_t cycles);
/* Writes the first length bytes (0: all); the file must not exist as anything else. */
void fixture_write(const struct fixture *f, const char *path, uint64_t length);
