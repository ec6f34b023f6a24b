/*
 * Live copies: where a running process's recording lies in tmpfs, under a name that follows from its uid, pid
 * and start time, so that a child finds out without a message whether an ancestor is recorded.
 *
 *   /dev/shm/refunc-UID-PID-STARTTICKS
 *
 * The directory may be writable by everyone, so whatever is opened there is checked: a regular file, not a
 * link, of the right owner, with a valid header of that very process. Raw system calls only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "recording/format.h"

#define RF_LIVE_DIR "/dev/shm"
#define RF_LIVE_PREFIX "refunc-"

/* false when it does not fit. */
bool rf_live_name(char *path, size_t size, const char *dir, uint32_t uid, uint32_t pid, uint64_t start_ticks);
/* The parts of a live copy's base name; false for any other name. */
bool rf_live_parse(const char *name, uint32_t *uid, uint32_t *pid, uint64_t *start_ticks);

/* Opens a regular file that uid owns: a descriptor or a negative errno (-ESTALE: a file, but not that one).
 * device and inode 0: any. */
int rf_live_open(const char *path, int flags, uint32_t uid, uint64_t device, uint64_t inode);

/* Reads and checks a header: 0, -EPROTO for anything that is not a recording of this major version. */
int rf_live_header(int fd, struct rf_header *header);

/* Whether both are of one recording: the process, and its image by the moment it started. */
bool rf_live_same(const struct rf_header *a, const struct rf_header *b);

/*
 * Completes the output file that a live copy names from it, with the given end where the copy knows none, and
 * removes the copy: for processes that have ended, or whose image was replaced. Also right when another
 * process does the same at the same time. 0, or a negative errno; then the copy stays.
 */
int rf_live_settle(const char *path, uint32_t uid, enum rf_exit_kind ended);
