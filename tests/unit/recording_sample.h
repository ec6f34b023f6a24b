/* A small recording with every kind of reference in it, and folders to put it in. */
#pragma once

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording/writer.h"

/* A fresh folder in memory: a disk would make thousands of small files slow. Removed by its maker or not at
 * all. */
static inline const char *fresh_folder(char path[256]) {
  const char *base = access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm";
  snprintf(path, 256, "%s/test-refunc-XXXXXX", base);
  cr_assert_not_null(mkdtemp(path));
  return path;
}

static inline void remove_folder(const char *path) {
  char command[600];
  snprintf(command, sizeof command, "rm -rf '%s'", path);
  if (system(command)) cr_log_warn("%s", command);
}

static inline struct rf_header *start_recording(const char *output) {
  struct rf_recording_plan plan = {
      .output_path = output, .is_root = true, .root_dir = "/", .run_dir = "/somewhere"};
  cr_assert_eq(rf_recording_create(&plan), 0);
  return rf_recording_header();
}

static inline void add_function(const char *name) {
  rf_ref *root = rf_recording_root(RF_TABLE_FUNCTION);
  struct rf_function_entry *entry = rf_table_append(root, RF_TABLE_FUNCTION, sizeof *entry, 4);
  cr_assert_not_null(entry);
  entry->name = rf_recording_text(name);
  entry->module = rf_recording_text("libsample.so");
  rf_table_publish(*root);
}

/* threads threads with functions slots each; slot f of thread t has counted t * 1000 + f calls. */
static inline void fill_sample(unsigned threads, unsigned functions) {
  char name[64];
  for (unsigned f = 0; f < functions; f++) {
    snprintf(name, sizeof name, "function_%u", f);
    add_function(name);
    rf_record_fact(name, "a fact");
  }
  rf_ref *root = rf_recording_root(RF_TABLE_THREAD);
  for (unsigned t = 0; t < threads; t++) {
    struct rf_thread_entry *thread = rf_table_append(root, RF_TABLE_THREAD, sizeof *thread, 2);
    cr_assert_not_null(thread);
    thread->tid = 100 + t;
    rf_table_publish(*root);
    for (unsigned f = 0; f < functions; f++) {
      struct rf_slot *slot = rf_table_append(&thread->slots, RF_TABLE_SLOT, sizeof *slot, 3);
      cr_assert_not_null(slot);
      slot->function = f;
      slot->counted = t * 1000 + f;
      uint64_t *octave = rf_recording_alloc(RF_SUBBUCKETS * sizeof *octave);
      cr_assert_not_null(octave);
      octave[f % RF_SUBBUCKETS] = f;
      slot->octave[f % RF_OCTAVES] = rf_recording_ref(octave);
      rf_table_publish(thread->slots);
    }
  }
  rf_record_unavailable("system.gpu", "no driver");
}
