/* See descriptors.h. */
#include "sample/descriptors.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "sample/file.h"
#include "sample/scan.h"

#ifndef SYS_pidfd_getfd
#define SYS_pidfd_getfd 438
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif
#ifndef SYS_close_range
#define SYS_close_range 436
#endif
#define RANGE_UNSHARE 2 /* CLOSE_RANGE_UNSHARE: on a copy of the table, made without what is closed */
#define MOST 65536u     /* numbers that are tried where the open ones can't be listed */

/* A seccomp filter was there before the process was: it may kill for calls younger than its author's list. */
static bool filtered;

/* A range with nothing in it: tells whether the call exists and is allowed. */
int rf_descriptors_can_leave(void) {
  filtered = rf_syscall(SYS_prctl, PR_GET_SECCOMP) != 0;
  return !filtered && rf_syscall(SYS_close_range, UINT_MAX, UINT_MAX, 0) == 0;
}

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

/* Kernels before 5.6 can't duplicate it: reopened by name, which sockets refuse. */
static long fetch(int number) {
  long process = filtered ? -1 : rf_syscall(SYS_pidfd_open, rf_syscall(SYS_getpid), 0);
  long fetched = process < 0 ? process : rf_syscall(SYS_pidfd_getfd, process, number, 0);
  if (process >= 0) rf_file_close(process);
  if (fetched >= 0) return fetched;
  char path[64];
  struct rf_note name = rf_note_in(path, sizeof path);
  rf_note_add(&name, "/proc/self/fd/");
  rf_note_add_number(&name, (uint64_t)number);
  return rf_file_open(path, O_WRONLY | O_APPEND);
}

bool rf_descriptors_borrow(int number) {
  long fetched = number < 0 ? -1 : fetch(number);
  if (fetched < 0) return false;
  if (fetched == number) return true;
  long moved = rf_syscall(SYS_dup3, fetched, number, O_CLOEXEC);
  rf_file_close(fetched);
  return moved == number;
}

void rf_descriptors_give_back(int number) { rf_file_close(number); }
