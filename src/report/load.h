/* Opens what people name on the command line: recordings, folders of them, reports in JSON. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "report/model.h"

struct rf_reader;

struct rf_recordings {
  struct rf_reader **reader;
  size_t count;
  size_t truncated,
      unreadable; /* of the folder's files; a file named itself that is unreadable is an error */
  char note[512]; /* why the last unreadable one was */
};

/*
 * Adds the recording at path, or every recording (*.rfn) in the folder at path; what a dead process left is
 * completed first. false with error (what, where, what would be right) when path can't be read or a folder
 * holds none.
 */
bool rf_recordings_add(struct rf_recordings *recordings, const char *path, char *error, size_t error_bytes);
void rf_recordings_close(struct rf_recordings *recordings);

/*
 * One run as a report: a recording, a folder of recordings (merged), or a report in JSON. NULL with error.
 * A folder without recordings is an error.
 */
struct rf_report *rf_load_run(const char *path, char *error, size_t error_bytes);

/*
 * A report from the text of a JSON report ("schema": "refunc-report/1"): names, numbers and the heap, as far
 * as comparing needs them. NULL with error. Survives any input. name: what error calls it.
 */
struct rf_report *rf_json_load(const char *bytes, size_t length, const char *name, char *error,
                               size_t error_bytes);

/* The text of a file that looks like JSON, NUL-terminated, to be freed; NULL for anything else. */
char *rf_json_file_text(const char *path, size_t *length);
