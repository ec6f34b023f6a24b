/*
 * The control group: time that its CPU limit took from the process, and its memory limit.
 *
 *   /proc/self/cgroup   0::/path                 unified hierarchy (v2), mounted at /sys/fs/cgroup or
 *                                                /sys/fs/cgroup/unified
 *                       N:cpu,cpuacct:/path      one hierarchy a controller (v1), mounted at
 *                                                /sys/fs/cgroup/cpu,cpuacct
 *
 * A container often sees only its own part of the hierarchy, mounted at the root, under a path of the host's:
 * where root + path does not exist, the path is shortened from its left, down to the root itself.
 */
#include <errno.h>

#include "sample/reading.h"

#define PATH_BYTES 512

/* A controller's group: where its hierarchy is mounted (below /sys), the group's path in it, and which
 * version. */
struct group {
  char mount[96];
  char path[PATH_BYTES];
  bool unified;
};

static struct rf_counter throttled;

static void forget_cgroup(void) { throttled = (struct rf_counter){0}; }

static bool names_controller(struct rf_scan list, const char *controller) {
  struct rf_scan name;
  while (rf_scan_until(&list, ',', &name))
    if (rf_scan_equals(name, controller)) return true;
  return rf_scan_equals(list, controller);
}

/* One line of /proc/self/cgroup; true when it is about controller (NULL: the unified hierarchy). */
static bool parse_line(struct rf_scan line, const char *controller, struct group *group) {
  struct rf_scan number, controllers;
  if (!rf_scan_until(&line, ':', &number) || !rf_scan_until(&line, ':', &controllers)) return false;
  bool unified = controllers.at == controllers.end;
  if (controller ? unified || !names_controller(controllers, controller) : !unified) return false;
  struct rf_note mount = rf_note_in(group->mount, sizeof group->mount);
  rf_note_add(&mount, "/fs/cgroup");
  if (controller) rf_note_add(&mount, "/"), rf_note_add_scan(&mount, controllers);
  struct rf_note path = rf_note_in(group->path, sizeof group->path);
  rf_note_add_scan(&path, line);
  group->unified = unified;
  return true;
}

static long find_group(struct rf_reading *r, const char *controller, struct group *group) {
  struct rf_scan text, line;
  long error = rf_reading_file(r, r->proc_root, "/self/cgroup", true, &text);
  if (error < 0) return error;
  while (rf_scan_line(&text, &line))
    if (parse_line(line, controller, group)) return 0;
  return -ENOENT;
}

/* Reads mount + path + file; on failure path is cut at its left: /a/b, /b, "". *level is what was found. */
static long read_group_file(struct rf_reading *r, const char *mount, const char *path, const char *file,
                            struct rf_scan *text, const char **level) {
  for (*level = path;;) {
    struct rf_note name = rf_note_in(r->path, sizeof r->path);
    rf_note_add(&name, r->sys_root);
    rf_note_add(&name, mount);
    if ((*level)[0] && (*level)[1]) rf_note_add(&name, *level);
    rf_note_add(&name, file);
    long error = rf_reading_path(r, false, text);
    if (error != -ENOENT && error != -ENOTDIR) return error;
    if (**level == 0) return error;
    do ++*level;
    while (**level && **level != '/');
  }
}

/* cpu.stat of the unified hierarchy, else of the cpu controller's. */
static long throttled_ns(struct rf_reading *r, uint64_t *ns) {
  static const char *const mounts[] = {"/fs/cgroup", "/fs/cgroup/unified"};
  struct group group;
  struct rf_scan text;
  const char *level;
  uint64_t us;
  if (find_group(r, NULL, &group) == 0)
    for (unsigned i = 0; i < 2; i++)
      if (read_group_file(r, mounts[i], group.path, "/cpu.stat", &text, &level) == 0 &&
          rf_scan_key(text, "throttled_usec ", &us) && us < UINT64_MAX / 1000) {
        *ns = us * 1000;
        return 0;
      }
  long error = find_group(r, "cpu", &group);
  if (error == 0) error = read_group_file(r, group.mount, group.path, "/cpu.stat", &text, &level);
  if (error == 0 && !rf_scan_key(text, "throttled_time ", ns)) error = -ENOENT;
  return error;
}

static void read_throttling(struct rf_reading *r) {
  uint64_t ns;
  if (throttled_ns(r, &ns) < 0) return;
  rf_counter_rate(&throttled, ns, r->now_ns);
  rf_reading_total(r, &r->totals->throttled_ns, rf_counter_total(&throttled, false));
}

static bool open_throttling(struct rf_reading *r) {
  uint64_t ns;
  long error = throttled_ns(r, &ns);
  if (error == 0)
    read_throttling(r);
  else if (error == -ENOENT)
    rf_reading_absent(r, RF_ABSENT_THROTTLED, "no cgroup with a CPU controller");
  else
    rf_reading_failed(r, RF_ABSENT_THROTTLED, "cpu.stat of the cgroup", error);
  return error == 0;
}

const struct rf_source rf_source_throttling = {.name = "system.cpu.throttled_s",
                                               .period_ns = 1000000000,
                                               .open = open_throttling,
                                               .read = read_throttling,
                                               .forget = forget_cgroup};

/* The lowest limit of a group and those around it; UINT64_MAX: none. */
static long lowest_limit(struct rf_reading *r, const char *mount, char *path, const char *file,
                         uint64_t *limit) {
  struct rf_scan text;
  const char *level;
  uint64_t bytes;
  *limit = UINT64_MAX;
  long error = read_group_file(r, mount, path, file, &text, &level);
  bool seen = error == 0;
  for (char *at = path + (level - path);;) {
    if (error == 0 && rf_scan_number(&text, &bytes) && bytes < *limit) *limit = bytes;
    char *end = at + rf_scan_length(at);
    while (end > at && *end != '/') end--;
    if (end == at && *at == 0) break;
    *end = 0; /* the group around it */
    const char *unused;
    error = read_group_file(r, mount, at, file, &text, &unused);
    seen |= error == 0;
  }
  return seen ? 0 : error;
}

static long memory_limit(struct rf_reading *r, uint64_t *limit) {
  static const char *const mounts[] = {"/fs/cgroup", "/fs/cgroup/unified"};
  struct group group;
  for (unsigned i = 0; i < 2; i++)
    if (find_group(r, NULL, &group) == 0 &&
        lowest_limit(r, mounts[i], group.path, "/memory.max", limit) == 0 && *limit != UINT64_MAX)
      return 0;
  long error = find_group(r, "memory", &group);
  if (error < 0) return error;
  return lowest_limit(r, group.mount, group.path, "/memory.limit_in_bytes", limit);
}

/* v1 says "none" as the highest multiple of the page size. */
#define NO_LIMIT (1ull << 62)

static void read_limit(struct rf_reading *r) {
  uint64_t limit = UINT64_MAX;
  if (memory_limit(r, &limit) == 0 && limit < NO_LIMIT)
    rf_reading_gauge(r, &r->totals->cgroup_limit_bytes, limit);
}

static void close_limit(struct rf_reading *r) {
  uint64_t bit = 1ull << (&r->totals->cgroup_limit_bytes - &r->totals->user_ns);
  read_limit(r);
  if (r->totals->missing & bit)
    rf_reading_absent(r, RF_ABSENT_LIMIT, "no cgroup limits the process's memory");
}

static bool open_limit(struct rf_reading *r) {
  read_limit(r);
  return true;
}

const struct rf_source rf_source_limit = {.name = "system.memory.cgroup_limit_bytes",
                                          .period_ns = 10000000000,
                                          .open = open_limit,
                                          .read = read_limit,
                                          .close = close_limit};
