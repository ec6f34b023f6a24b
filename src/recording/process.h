/*
 * Which process is meant: a pid alone is reused, so a process is (boot id, pid namespace, pid, start ticks).
 * Raw system calls only.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct rf_header;

struct rf_process {
  uint32_t pid, parent;
  uint64_t start_ticks; /* field 22 of /proc/PID/stat, as the first time namespace has it; 0: not readable */
  uint32_t threads;
  char state; /* R, S, D, Z, ... */
};

/* pid 0: the calling process. 0 or a negative errno (then process->pid is set for the calling process all the
 * same). */
int rf_process_read(uint32_t pid, struct rf_process *process);

/* Whether that very process still runs. A leader that has ended while other threads go on counts as running.
 * start_ticks 0: any process with that pid. */
bool rf_process_alive(uint32_t pid, uint64_t start_ticks);

/* What this process's time namespace adds to CLOCK_MONOTONIC and CLOCK_BOOTTIME; in the first one nothing.
 * Cost: 2 us there. */
struct rf_time_offsets {
  int64_t monotonic_ns, boottime_ns;
};
struct rf_time_offsets rf_process_time_offsets(void);

/* Empty where /proc does not tell. */
void rf_process_boot_id(char boot_id[40]);
/* 0 where /proc does not tell. */
uint64_t rf_process_pid_namespace(void);

/* Whether pids in this header mean something here: same boot, same pid namespace, as far as both are known.
 */
bool rf_process_comparable(const struct rf_header *header);

/* Whether the process of this header still runs, as far as can be told: in another pid namespace by when it
 * was last written (within 15 s). Never for a finished one, or one of an earlier boot. */
bool rf_process_writes(const struct rf_header *header);
