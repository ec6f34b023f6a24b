/* See second_start.h. */
#include "session/second_start.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/memory.h"
#include "elf/loader.h"

#define MARK "REFUNC__JEMALLOC="
#define PRELOAD "LD_PRELOAD="
#define LIBRARY "librefunc_jemalloc.so"
#define LEAST_ROOM ((rlim_t)256 << 20)
#define NAME_BYTES 16 /* of a task's name, for the kernel */

/* ---- the environment ---- */

static char **find(char **environment, const char *beginning) {
  size_t length = strlen(beginning);
  for (; environment && *environment; environment++)
    if (!strncmp(*environment, beginning, length)) return environment;
  return NULL;
}

static void take_out(char **entry) {
  do entry[0] = entry[1];
  while (*entry++);
}

/* jemalloc's library stands last, behind a colon unless it stands alone. */
static void put_back_preload(char **environment) {
  char **entry = find(environment, PRELOAD);
  char *last = entry ? strrchr(*entry, ':') : NULL;
  if (last)
    *last = '\0';
  else if (entry)
    take_out(entry);
}

/* The kernel names a task by the path of its program, which is another one for scripts. */
static void put_back_name(const char *name) {
  char now[NAME_BYTES] = "";
  rf_syscall(SYS_prctl, PR_GET_NAME, now);
  if (strncmp(now, name, NAME_BYTES - 1) != 0) rf_syscall(SYS_prctl, PR_SET_NAME, name);
}

bool rf_second_start(char **environment) {
  char **mark = find(environment, MARK);
  if (!mark) return false;
  put_back_name(*mark + strlen(MARK));
  take_out(mark);
  put_back_preload(environment);
  return true;
}

/* A copy of the environment with jemalloc's library and the mark. NULL without memory. */
static char **with_jemalloc(char *const *environment, const char *library) {
  char name[NAME_BYTES] = "";
  size_t count = 0;
  while (environment[count]) count++;
  char **changed = rf_calloc(count + 3, sizeof *changed);
  if (!changed) return NULL;
  memcpy(changed, environment, count * sizeof *changed);
  rf_syscall(SYS_prctl, PR_GET_NAME, name);
  char **preload = find(changed, PRELOAD);
  if (!preload) preload = &changed[count++];
  bool alone = !*preload || !(*preload)[strlen(PRELOAD)];
  *preload = alone ? rf_asprintf(PRELOAD "%s", library) : rf_asprintf("%s:%s", *preload, library);
  changed[count] = rf_asprintf(MARK "%s", name);
  return *preload && changed[count] ? changed : NULL;
}

/* ---- the program ---- */

/* The path that makes the kernel start the same program in the same way. */
static const char *program_path(char *room, size_t size) {
  const char *called = rf_loader_program_path();
  if (called) return called;
  long length = rf_syscall(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", room, size - 1);
  if (length <= 0) return NULL;
  room[length] = '\0';
  return room;
}

static bool beside(const char *library, char *path, size_t size) {
  const char *slash = strrchr(library, '/');
  int folder = slash ? (int)(slash - library) : 1;
  int length = snprintf(path, size, "%.*s/" LIBRARY, folder, slash ? library : ".");
  return length > 0 && (size_t)length < size;
}

/* The second start maps some megabytes more, and a program that can't be loaded does not start at all. */
static bool room_is_tight(void) {
  static const int resources[] = {RLIMIT_AS, RLIMIT_DATA};
  for (size_t i = 0; i < sizeof resources / sizeof *resources; i++) {
    struct rlimit limit;
    if (rf_syscall(SYS_prlimit64, 0, resources[i], 0, &limit) == 0 && limit.rlim_cur < LEAST_ROOM)
      return true;
  }
  return false;
}

static const char *obstacle(const char *jemalloc) {
  if (!rf_loader_started_by_kernel()) return "the program was started by running the dynamic loader";
  if (strpbrk(jemalloc, ": ")) return "the path of " LIBRARY " has a colon or a space in it";
  if (rf_syscall(SYS_faccessat, AT_FDCWD, jemalloc, R_OK) != 0)
    return LIBRARY " is not beside librefunc_preload.so";
  if (room_is_tight()) return "the limits on address space (RLIMIT_AS, RLIMIT_DATA) are too tight";
  return NULL;
}

void rf_start_again(char *const *arguments, char *const *environment, const char *library, char *why,
                    size_t size) {
  char jemalloc[PATH_MAX], room[PATH_MAX];
  const char *problem =
      beside(library, jemalloc, sizeof jemalloc) ? obstacle(jemalloc) : "its path is too long";
  const char *program = program_path(room, sizeof room);
  char **changed = problem || !program ? NULL : with_jemalloc(environment, jemalloc);
  if (changed) {
    long error = rf_syscall(SYS_execve, program, arguments, changed);
    snprintf(why, size, "the program can't be started once more: %s", strerror((int)-error));
    return;
  }
  snprintf(why, size, "%s", problem ? problem : "no memory");
}
