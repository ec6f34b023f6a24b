/*
 * The order of things in a recorded process: the only place that knows what starts, stops, forks and reports
 * when.
 *
 *   start:  options ─ log ─ ancestry ─ recording ─ threads ─ heap ─ functions ─ sampler
 *   fork:   quiet (locks held) ─ fork ─ child: a recording of its own, the same functions, a sampler of its own
 *   exec:   the recording is settled for the next image; goes on if exec fails
 *   finish: sampler's last look ─ exit status ─ recording finished ─ report by the tool (root process only)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* From the library's constructor. */
void rf_session_start(int argc, char **argv, char **envp);
/* Whether this process is recorded. */
bool rf_session_active(void);
/* Whether its children are, too (refunc.children). */
bool rf_session_follows_children(void);
/* Whether what its sockets send and receive is counted (system.network). */
bool rf_session_counts_network(void);
/* The process ends with this status: from exit's last handler, _exit, quick_exit. Does its work once. */
void rf_session_finish(int status);

/* Around fork, on the forking thread. */
struct rf_fork_token {
  uint64_t signals;
};
struct rf_fork_token rf_session_before_fork(void);
void rf_session_after_fork(struct rf_fork_token token, bool child);

/* Around exec; failed: it came back. In a vfork child both do nothing. */
void rf_session_before_exec(void);
void rf_session_exec_failed(void);

/* Before the app changes its credentials, or installs a seccomp filter. */
void rf_session_before_credentials(void);
void rf_session_before_seccomp(void);

/* quick_exit was called with this status: the process ends through handlers that are not told it. */
void rf_session_expect_status(int status);
