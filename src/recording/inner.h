/* What writer.c and flush.c share of the process's recording. Not for others. */
#pragma once

#include "base/lock.h"
#include "recording/format.h"

#define RF_PAGE 4096u
#define RF_STAGE_PAGES 16u

enum rf_backing {
  RF_BACKING_NONE,
  RF_BACKING_LIVE,      /* a live copy in tmpfs, written through to the output file */
  RF_BACKING_OUTPUT,    /* the output file itself is mapped: no tmpfs */
  RF_BACKING_ANONYMOUS, /* private memory, written through to the output file where there is one */
};

/*
 * Lies in pages of its own that a fork of any kind wipes (MADV_WIPEONFORK), as the recording itself is not
 * inherited (MADV_DONTFORK): a child finds base NULL and locks free, whichever system call made it.
 */
struct rf_recording {
  char *base;              /* NULL: no recording; set last, when everything else is */
  char *space;             /* the reserved address space; base once it is published */
  uint64_t reserved;       /* its size */
  _Atomic uint64_t mapped; /* backed by the file or memory: never a SIGBUS below it */
  uint64_t cap;            /* backed at most */
  enum rf_backing backing;
  uint32_t pid;
  _Atomic uint32_t exhausted; /* growing failed; the next flush allows another try */
  _Atomic uint32_t sealed;    /* no system call any more */
  _Atomic uint32_t finished;
  uint32_t uid;
  struct rf_lock grow_lock, cold_lock, flush_lock;
  uint64_t live_dev, live_inode, output_dev, output_inode;
  uint64_t *hashes; /* of each page as it was last written; touched from the first page on */
  char *stage;      /* RF_STAGE_PAGES pages */
  int64_t header_written_ns;
  uint32_t said; /* the user was told once that the output can't be written */
  char live_path[256];
  char output_path[1024];
};

/* NULL before the first rf_recording_create() of this process and its ancestors; base may be NULL. */
struct rf_recording *rf_recording_inner(void);
/* Backs more of the reservation when less than a quarter is left. */
void rf_recording_grow_ahead(struct rf_recording *recording);

/* One line to the user, composed without libc: "what path: reason rest". */
void rf_recording_complain(const char *what, const char *path, const char *reason, const char *rest);
