/* See file.h. */
#include "sample/file.h"

#include <errno.h>
#include <fcntl.h>

#include "arch/arch.h"
#include "sample/scan.h"

long rf_file_open(const char *path, int flags) {
  for (;;) {
    long descriptor = rf_syscall(SYS_openat, AT_FDCWD, path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
    if (descriptor != -EINTR) return descriptor;
  }
}

void rf_file_close(long descriptor) { rf_syscall(SYS_close, descriptor); }

static long read_at(long descriptor, char *bytes, size_t size, size_t offset) {
  for (;;) {
    long got = rf_syscall(SYS_pread64, descriptor, bytes, size, offset);
    if (got != -EINTR) return got;
  }
}

/* The kernel hands out a long list page by page, as many lines as fit: less than half a page is the end of
 * it. */
#define PIECE 2048

long rf_file_read_again(long descriptor, char *bytes, size_t size, bool whole) {
  size_t length = 0;
  long got;
  do {
    got = read_at(descriptor, bytes + length, size - length, length);
    if (got > 0) length += (size_t)got;
  } while (whole && got >= PIECE && length < size);
  return got < 0 && length == 0 ? got : (long)length;
}

long rf_file_read(const char *path, char *bytes, size_t size, bool whole) {
  long descriptor = rf_file_open(path, O_RDONLY);
  if (descriptor < 0) return descriptor;
  long length = rf_file_read_again(descriptor, bytes, size, whole);
  rf_file_close(descriptor);
  return length;
}

long rf_file_link(const char *path, char *bytes, size_t size) {
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, path, bytes, size - 1);
  bytes[length < 0 ? 0 : length] = 0;
  return length;
}

const char *rf_file_error(long error) {
  switch (-error) {
  case EPERM: return "not permitted";
  case EACCES: return "permission denied";
  case ENOENT: return "not there";
  case ENOTDIR: return "not there";
  case ENOMEM: return "out of memory";
  case EAGAIN: return "no further thread is allowed (RLIMIT_NPROC or a cgroup's pids.max)";
  case EMFILE: return "no further open file is allowed (RLIMIT_NOFILE)";
  case ENFILE: return "the machine has no further open file left";
  case ENOSYS: return "the kernel lacks the system call";
  case EIO: return "input/output error";
  case EINVAL: return "refused by the kernel as invalid";
  case ESRCH: return "no such process";
  case EOPNOTSUPP: return "not supported";
  case ENODATA: return "empty";
  case EBADMSG: return "not understood";
  case EFBIG: return "too large to read at exit";
  case ERANGE: return "the value is absurd";
  default: return "an unexpected error";
  }
}

struct directory_entry {
  uint64_t inode;
  int64_t offset;
  unsigned short length;
  unsigned char type;
  char name[];
};

static bool dot(const char *name) {
  return name[0] == '.' && (name[1] == 0 || (name[1] == '.' && name[2] == 0));
}

long rf_file_folder(const char *path, bool (*each)(const char *name, void *user), void *user) {
  long folder = rf_file_open(path, O_RDONLY | O_DIRECTORY);
  if (folder < 0) return folder;
  _Alignas(8) char entries[4096];
  long got;
  bool more = true;
  while (more && (got = rf_syscall(SYS_getdents64, folder, entries, sizeof entries)) > 0)
    for (char *at = entries; more && at < entries + got;) {
      struct directory_entry *entry = (struct directory_entry *)at;
      at += entry->length;
      if (!dot(entry->name)) more = each(entry->name, user);
    }
  rf_file_close(folder);
  return more && got < 0 ? got : 0;
}

bool rf_file_number(const char *path, uint64_t *value) {
  char bytes[32];
  long length = rf_file_read(path, bytes, sizeof bytes, false);
  if (length <= 0) return false;
  struct rf_scan text = {bytes, bytes + length};
  return rf_scan_number(&text, value);
}
