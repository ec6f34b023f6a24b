/*
 * The program gives up root: no thread of its process keeps it, and it ends as without Refunc.
 * flags: -O2 -D_GNU_SOURCE -DHOW=0
 * flags: -O2 -D_GNU_SOURCE -DHOW=1
 * flags: -O2 -D_GNU_SOURCE -DHOW=2
 * stderr: ignore
 * option: refunc.preset=full
 * trace: work
 * calls: work 200
 */
#include <dirent.h>
#include <grp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }

static int still_root(void) {
  int root = 0, threads = 0;
  DIR *tasks = opendir("/proc/self/task");
  REQUIRE(tasks);
  for (struct dirent *entry; (entry = readdir(tasks));) {
    char path[300], line[200];
    if (entry->d_name[0] == '.') continue;
    snprintf(path, sizeof path, "/proc/self/task/%s/status", entry->d_name);
    FILE *status = fopen(path, "r");
    if (!status) continue; /* it has ended */
    threads++;
    while (fgets(line, sizeof line, status)) {
      int real, effective, saved, file;
      if (sscanf(line, "Uid: %d %d %d %d", &real, &effective, &saved, &file) == 4) root += !real || !effective || !saved || !file;
    }
    fclose(status);
  }
  closedir(tasks);
  REQUIRE(threads >= 1);
  return root;
}

/* A thread that has ended, and will run no instruction again, may be listed for a moment more. */
static int stays_root(void) {
  for (int i = 0; i < 20 && still_root(); i++) usleep(5000);
  return still_root();
}

int main(void) {
  for (int i = 0; i < 100; i++) work(i);
  if (getuid()) {
    for (int i = 0; i < 100; i++) work(i);
    return 0;
  }
  usleep(200000);
  REQUIRE(!setgroups(0, 0));
  if (HOW == 0) REQUIRE(!setuid(65534));
  if (HOW == 1) REQUIRE(!setresuid(65534, 65534, 65534));
  if (HOW == 2) REQUIRE(!setreuid(65534, 65534));
  REQUIRE(!stays_root());
  for (int i = 0; i < 100; i++) work(i);
  usleep(200000);
  REQUIRE(!stays_root());
}
