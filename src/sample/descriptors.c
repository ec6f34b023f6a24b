/* See descriptors.h. */
#include "sample/descriptors.h"

#include <limits.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "sample/file.h"
#include "sample/scan.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define RANGE_UNSHARE 2 /* CLOSE_RANGE_UNSHARE: on a copy of the table, made without what is closed */
#define MOST 65536u     /* numbers that are tried where the open ones can't be listed */

/* A range with nothing in it: tells whether the call exists and is allowed. */
int rf_descriptors_can_leave(void) { return rf_syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) == 0; }

long rf_descriptors_leave(void) { return rf_syscall(SYS_close_range, 0, UINT_MAX, RANGE_UNSHARE); }

struct sweep {
  uint64_t keep; /* the folder that is being read */
  uint32_t closed;
};

static bool close_entry(const char *name, void *user) {
  struct sweep *sweep = user;
  struct rf_scan text = {name, name + rf_scan_length(name)};
  uint64_t number;
  if (!rf_scan_number(&text, &number) || number == sweep->keep) return true;
  rf_file_close((long)number);
  sweep->closed++;
  return true;
}

/* The lowest free number is the one that the folder gets: whatever stands there afterwards is closed by its
 * end. */
static bool sweep_listed(void) {
  struct sweep sweep;
  do {
    long probe = rf_file_open("/proc/thread-self/fd", 0);
    if (probe < 0) return false;
    rf_file_close(probe);
    sweep = (struct sweep){.keep = (uint64_t)probe};
    if (rf_file_folder("/proc/thread-self/fd", close_entry, &sweep) < 0) return false;
  } while (sweep.closed > 0);
  return true;
}

long rf_descriptors_drop(void) {
  struct rlimit limit = {0, 0};
  rf_syscall(SYS_close, 0); /* so that a full table has room for the folder */
  if (sweep_listed()) return 0;
  if (rf_syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, &limit) < 0 || limit.rlim_cur > MOST)
    limit.rlim_cur = MOST;
  for (uint64_t number = 0; number < limit.rlim_cur; number++) rf_file_close((long)number);
  return 0;
}
