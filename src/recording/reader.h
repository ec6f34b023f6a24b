/*
 * The reader's side: opens a finished, living or dead process's recording (or its output file, and follows
 * that to the live copy), and hands out bounds-checked views. Survives any truncated or corrupt file: every
 * reference is checked, every chain is bounded.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "recording/format.h"

struct rf_reader; /* opaque: one opened recording, a private snapshot of it */

/*
 * path: an output file (followed to the live copy while its process lives) or a live copy. NULL on failure,
 * with the reason in error (what, where, what to do). A copy of the whole recording is taken: what the
 * process does afterwards is not seen. Of a running process that copy is consistent: every published entry is
 * whole. Cost: about 1 ms per MB.
 */
struct rf_reader *rf_reader_open(const char *path, char *error, size_t error_bytes);
void rf_reader_close(struct rf_reader *reader);

const struct rf_header *rf_reader_header(const struct rf_reader *reader);
bool rf_reader_alive(const struct rf_reader *reader);     /* the process still runs */
bool rf_reader_truncated(const struct rf_reader *reader); /* something pointed outside the file */
const char *rf_reader_path(const struct rf_reader *reader);

/* "" for 0 and for anything out of bounds. The string lives as long as the reader. */
const char *rf_reader_string(const struct rf_reader *reader, rf_ref ref);
/* count 8-byte words at ref, or NULL. */
const uint64_t *rf_reader_words(const struct rf_reader *reader, rf_ref ref, size_t count);

/* Walks a table: entry receives a copy of min(entry_bytes, size) bytes, the rest zero. false at the end. */
struct rf_cursor {
  const struct rf_reader *reader;
  rf_ref chunk;
  uint32_t index;
  uint32_t kind;
  uint64_t budget;
};
struct rf_cursor rf_cursor_at(const struct rf_reader *reader, rf_ref root, enum rf_table kind);
bool rf_cursor_next(struct rf_cursor *cursor, void *entry, size_t size);

/*
 * Where a dead process left its live copy: completes the output file from it and removes the live copy; where
 * the copy is gone as well (the machine restarted), the output is marked finished as it is. The exit kind
 * stays RUNNING unless the process could still say more: a finished recording that says RUNNING is of a lost
 * process. Several at a time are fine. 0 (also when there was nothing to do), -EBUSY while the process lives,
 * or another negative errno.
 */
int rf_recording_complete(const char *output_path);

/* For whoever waited for the process: says how it ended, in a completed recording that does not know. 0 or a
 * negative errno; -EALREADY when it knows. */
int rf_recording_note_exit(const char *output_path, enum rf_exit_kind kind, int code);

/* Completes and removes every dead live copy of this user in dir (NULL: /dev/shm). Returns how many, or a
 * negative errno. */
int rf_recordings_sweep(const char *dir);

/* The live copy of a running process: 0 or -ENOENT. runtime_dir: XDG_RUNTIME_DIR or NULL. */
int rf_recording_of_process(uint32_t pid, const char *runtime_dir, char *path, size_t size);
