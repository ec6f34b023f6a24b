/*
 * Whose child this process is, as far as recordings go. A process is a root when no ancestor is recorded; the
 * others join their root's run: its folder, and the directory that relative names start from.
 *
 *   this pid's own live copy      an earlier image of this process (exec keeps the pid): what it was, this one is
 *   parent, its parent, ...       the nearest one with a live copy: not a root, and the rest is in that header
 *
 * Raw system calls only, no heap. Cost: some 10 us per generation.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_ancestry {
  bool is_root;
  bool after_exec; /* an earlier image of this very process was recorded */
  bool is_child;   /* an ancestor is recorded, whatever run this belongs to */
  uint32_t root_pid;
  char run_dir[512];   /* empty: none yet (a root with output: auto makes one: place.h) */
  char root_dir[1024]; /* where the root process started; for a root the current directory */
};

/*
 * run: the value of REFUNC__RUN, or NULL. runtime_dir: XDG_RUNTIME_DIR, or NULL; live_dir: NULL for /dev/shm.
 * Always gives an answer. A forked child that has not exec'd need not ask: its parent's answer with is_root
 * cleared holds, also when the parent has ended already.
 */
void rf_ancestry_find(struct rf_ancestry *ancestry, const char *run, const char *runtime_dir,
                      const char *live_dir);

/* "DIR:PID", as refunc run sets it: DIR may be empty or hold colons. The process with that PID is the run's
 * root; PID 0: none is. false when it is malformed; then nothing is changed. */
bool rf_ancestry_parse(const char *run, struct rf_ancestry *ancestry);
