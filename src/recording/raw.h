/*
 * The few system calls that the recording makes, typed. All answer the kernel's value or a negative errno,
 * touch no errno and no TLS, and may run on any thread and in a signal handler.
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <time.h>

#include "arch/arch.h"

/* Every open here is close-on-exec, never follows a link in the last component and never waits for a FIFO's
 * other end. */
#define RF_RAW_OPEN (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY)

/* Never 0, 1 or 2: where the app has closed those, another of its threads may still print to them. */
static inline int rf_raw_open(const char *path, int flags, unsigned mode) {
  long fd;
  do fd = rf_syscall(SYS_openat, AT_FDCWD, path, flags | RF_RAW_OPEN, mode);
  while (fd == -EINTR);
  if (fd < 0 || fd > 2) return (int)fd;
  long higher = rf_syscall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, 3);
  rf_syscall(SYS_close, fd);
  return (int)higher;
}

static inline void rf_raw_close(int fd) { rf_syscall(SYS_close, fd); }

static inline int rf_raw_stat_fd(int fd, struct stat *found) { return (int)rf_syscall(SYS_fstat, fd, found); }

/* Of the link itself, where path is one. */
static inline int rf_raw_stat(const char *path, struct stat *found) {
  return (int)rf_syscall(SYS_newfstatat, AT_FDCWD, path, found, AT_SYMLINK_NOFOLLOW);
}

static inline int rf_raw_unlink(const char *path) { return (int)rf_syscall(SYS_unlinkat, AT_FDCWD, path, 0); }

/* Reads up to length bytes; short only at the end of the file. */
static inline long rf_raw_read_at(int fd, void *to, size_t length, uint64_t offset) {
  size_t done = 0;
  while (done < length) {
    long got = rf_syscall(SYS_pread64, fd, (char *)to + done, length - done, offset + done);
    if (got == -EINTR) continue;
    if (got < 0) return done ? (long)done : got;
    if (got == 0) break;
    done += (size_t)got;
  }
  return (long)done;
}

/* Writes all of it: 0 or a negative errno. */
static inline int rf_raw_write_at(int fd, const void *from, size_t length, uint64_t offset) {
  size_t done = 0;
  while (done < length) {
    long put = rf_syscall(SYS_pwrite64, fd, (const char *)from + done, length - done, offset + done);
    if (put == -EINTR) continue;
    if (put < 0) return (int)put;
    if (put == 0) return -ENOSPC;
    done += (size_t)put;
  }
  return 0;
}

/* A text file of /proc or the like into buffer, NUL-terminated; its length or a negative errno. */
static inline long rf_raw_read_text(const char *path, char *buffer, size_t size) {
  int fd = rf_raw_open(path, O_RDONLY, 0);
  buffer[0] = 0;
  if (fd < 0) return fd;
  size_t length = 0;
  for (;;) {
    long got = rf_syscall(SYS_read, fd, buffer + length, size - 1 - length);
    if (got == -EINTR) continue;
    if (got <= 0) break;
    length += (size_t)got;
  }
  rf_raw_close(fd);
  buffer[length] = 0;
  return (long)length;
}

static inline void *rf_raw_map(void *at, size_t bytes, int protection, int flags, int fd, uint64_t offset) {
  long address = rf_syscall(SYS_mmap, at, bytes, protection, flags, fd, offset);
  return address < 0 && address > -4096 ? NULL : (void *)address;
}

static inline void rf_raw_unmap(void *at, size_t bytes) { rf_syscall(SYS_munmap, at, bytes); }

static inline int rf_raw_advise(void *at, size_t bytes, int advice) {
  return (int)rf_syscall(SYS_madvise, at, bytes, advice);
}

static inline uint32_t rf_raw_pid(void) { return (uint32_t)rf_syscall(SYS_getpid); }

static inline int64_t rf_raw_clock(int clock) {
  struct timespec now = {0, 0};
  rf_syscall(SYS_clock_gettime, clock, &now);
  return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The soft limit; UINT64_MAX for none. */
static inline uint64_t rf_raw_limit(int resource) {
  struct rlimit limit;
  if (rf_syscall(SYS_prlimit64, 0, resource, NULL, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
    return UINT64_MAX;
  return limit.rlim_cur;
}

/* Blocks every signal of this thread, also those that libc keeps for itself; rf_raw_signals_restore puts them
 * back. */
static inline uint64_t rf_raw_signals_block(void) {
  uint64_t all = ~UINT64_C(0), old = 0;
  rf_syscall(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, &all, &old, sizeof all);
  return old;
}

static inline void rf_raw_signals_restore(uint64_t old) {
  rf_syscall(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, &old, NULL, sizeof old);
}
