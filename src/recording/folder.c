/* See folder.h. */
#include "recording/folder.h"

#include <dirent.h>

#include "recording/compose.h"
#include "recording/raw.h"

/* As getdents64(2) writes it. */
struct entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[];
};

int rf_folder_visit_fd(int folder, bool (*visit)(void *user, const char *name), void *user) {
  _Alignas(struct entry) char buffer[8192];
  for (;;) {
    long got = rf_syscall(SYS_getdents64, folder, buffer, sizeof buffer);
    if (got <= 0) return (int)got;
    for (long at = 0; at < got;) {
      const struct entry *entry = (const void *)(buffer + at);
      at += entry->length;
      if (rf_text_equal(entry->name, ".") || rf_text_equal(entry->name, "..")) continue;
      if (!visit(user, entry->name)) return 0;
    }
  }
}

int rf_folder_visit(const char *path, bool (*visit)(void *user, const char *name), void *user) {
  int folder = rf_raw_open(path, O_RDONLY | O_DIRECTORY, 0);
  if (folder < 0) return folder;
  int result = rf_folder_visit_fd(folder, visit, user);
  rf_raw_close(folder);
  return result;
}
