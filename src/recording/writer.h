/*
 * The writer's side of the recording: one per process, in memory that outlives it (tmpfs), grown by whoever
 * needs room. Everything here may run in a signal handler and on any thread: claims are atomic adds, growing
 * takes a futex lock that is only waited for outside handlers; no libc call that could allocate.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "recording/format.h"

struct rf_recording_plan {
  const char *output_path; /* final place, absolute; NULL: none, in memory only */
  const char *run_dir;     /* the run's folder, or NULL */
  uint32_t root_pid;
  bool is_root;
  const char *root_dir; /* the directory in which the root process started (ancestry.h), or NULL */
  const char
      *runtime_dir; /* $XDG_RUNTIME_DIR of the app's environment, or NULL: second choice for the live copy */
  const char *live_dir; /* first choice for the live copy; NULL: /dev/shm */
};

/*
 * Creates the recording of this process: the live copy in tmpfs (else in the output file itself, else
 * anonymous memory) and the output file that names it (0600, O_EXCL; ".2", ".3", ... before the ending where
 * it exists). 0, or a negative errno; then nothing is recorded and rf_recording_header() gives NULL.
 */
int rf_recording_create(const struct rf_recording_plan *plan);
struct rf_header *rf_recording_header(void); /* NULL when there is none */

/* Zeroed bytes in the recording, 16-byte aligned (64 for 64 bytes and more); NULL when it is full (counted by
 * the caller). */
void *rf_recording_alloc(size_t bytes);
rf_ref rf_recording_ref(const void *place);
void *rf_recording_at(rf_ref ref); /* NULL for 0 */

/* Copies a string in; 0 when full. rf_recording_text is for NUL-terminated ones, NULL gives 0. */
rf_ref rf_recording_string(const char *bytes, size_t length);
rf_ref rf_recording_text(const char *text);

/*
 * Room for one more entry of a table, zeroed, not yet visible; NULL when full. One appender a table at a time
 * (the caller's lock). rf_table_publish makes it visible. per_chunk: entries of a fresh chunk.
 */
void *rf_table_append(rf_ref *root, enum rf_table kind, uint32_t entry_bytes, uint32_t per_chunk);
void rf_table_publish(rf_ref root);
rf_ref *rf_recording_root(enum rf_table kind);

/* Shorthand for the cold tables. */
void rf_record_fact(const char *key, const char *value);
void rf_record_unavailable(const char *path, const char *reason);

/*
 * Writes what changed since the last call to the output file. Called by the sampler (raw system calls only,
 * signals blocked, touches no TLS) and at the end. finished: the live copy becomes the final file and is
 * removed. The sampler's thread has a descriptor table, a root and a current directory of its own, so a
 * descriptor that was opened elsewhere means nothing there: open by absolute path, write, close, within the
 * call. The same holds for every function here that the sampler calls (alloc, string, append,
 * record_unavailable): no libc function, memcpy and strlen included (the app may have traced it), no TLS, no
 * descriptor kept.
 */
void rf_recording_flush(bool finished);

/*
 * Where this process's recording can be read: its output file, else (refunc.output: none) its live copy, else
 * "". A live copy without an output stays when the recording is finished, so that a report can be made of it;
 * drop removes it.
 */
const char *rf_recording_path(void);
void rf_recording_drop(void);

/*
 * Around exec, which keeps the pid: before it, the output file is finished with exit kind EXECED while the
 * live copy stays for the new image to find (ancestry.h); after a failed one, recording goes on. In a vfork
 * child both do nothing.
 */
void rf_recording_before_exec(void);
void rf_recording_exec_failed(void);

/*
 * Before the app installs a seccomp filter that may kill on unknown system calls: grows ahead once more, then
 * makes no system call any more, not even at the end. The live copy stays, and the tool completes it. Not
 * taken back.
 */
void rf_recording_seal(void);

/* In a forked child: the parent's recording is not mapped here any more (MADV_DONTFORK); forget it. */
void rf_recording_forget(void);
