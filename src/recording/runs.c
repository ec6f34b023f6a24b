/* See runs.h. */
#include "recording/runs.h"

#include "recording/compose.h"
#include "recording/folder.h"
#include "recording/format.h"
#include "recording/live.h"
#include "recording/place.h"
#include "recording/process.h"
#include "recording/raw.h"

#define NAME_BYTES 256

/* ---- names ---- */

/* 20261126T054530.123Z-app-1234: nothing else in that folder is touched. */
static bool is_run(const char *name) {
  static const char form[] = "ddddddddTdddddd.dddZ-";
  for (size_t i = 0; form[i]; i++)
    if (form[i] == 'd' ? name[i] < '0' || name[i] > '9' : name[i] != form[i]) return false;
  return true;
}

static int compare(const char *a, const char *b) {
  for (; *a && *a == *b; a++, b++) rf_plain_loop();
  return (unsigned char)*a - (unsigned char)*b;
}

static bool ends_as_recording(const char *name) {
  size_t length = rf_text_length(name), ending = sizeof RF_PLACE_ENDING - 1;
  return length > ending && rf_text_equal(name + length - ending, RF_PLACE_ENDING);
}

static bool join(char *path, size_t size, const char *folder, const char *name) {
  struct rf_text text = rf_text_in(path, size);
  rf_text_put(&text, folder);
  rf_text_char(&text, '/');
  rf_text_put(&text, name);
  return !text.overflow;
}

/* ---- picking ---- */

/* The smallest name above floor (order 1), or the greatest below ceiling (order -1). */
struct pick {
  int order;
  char bound[NAME_BYTES], best[NAME_BYTES];
  unsigned count;
};

static void start_pick(struct pick *pick, int order) {
  pick->order = order;
  pick->bound[0] = 0;
}

static bool look_at(void *user, const char *name) {
  struct pick *pick = user;
  if (!is_run(name)) return true;
  pick->count++;
  if (pick->bound[0] && compare(name, pick->bound) * pick->order <= 0) return true;
  if (!pick->best[0] || compare(name, pick->best) * pick->order < 0)
    rf_text_copy(pick->best, sizeof pick->best, name);
  return true;
}

/* The next name in order, into bound; false when there is none. */
static bool pick_next(const char *state, struct pick *pick) {
  pick->best[0] = 0;
  pick->count = 0;
  if (rf_folder_visit(state, look_at, pick) < 0 || !pick->best[0]) return false;
  rf_text_copy(pick->bound, sizeof pick->bound, pick->best);
  return true;
}

static bool note_recording(void *user, const char *name) {
  *(bool *)user |= ends_as_recording(name);
  return true;
}

int rf_runs_newest(const char *state, char *path, size_t size) {
  struct pick pick;
  start_pick(&pick, -1);
  while (pick_next(state, &pick)) {
    bool found = false;
    if (!join(path, size, state, pick.bound)) return -ENAMETOOLONG;
    if (rf_folder_visit(path, note_recording, &found) == 0 && found) return 0;
  }
  return -ENOENT;
}

/* ---- pruning ---- */

struct removal {
  int folder;
  bool busy;
};

static bool look_for_life(void *user, const char *name) {
  struct removal *removal = user;
  struct rf_header header;
  if (!ends_as_recording(name)) return true;
  int fd = (int)rf_syscall(SYS_openat, removal->folder, name, O_RDONLY | RF_RAW_OPEN, 0);
  if (fd < 0) return true;
  if (rf_live_header(fd, &header) == 0 && rf_process_writes(&header)) removal->busy = true;
  rf_raw_close(fd);
  return !removal->busy;
}

static bool remove_file(void *user, const char *name) {
  rf_syscall(SYS_unlinkat, ((struct removal *)user)->folder, name, 0);
  return true;
}

/* Files only: a folder that somebody made inside a run keeps it. */
static bool remove_run(const char *path) {
  struct removal removal = {rf_raw_open(path, O_RDONLY | O_DIRECTORY, 0), false};
  if (removal.folder < 0) return false;
  rf_folder_visit_fd(removal.folder, look_for_life, &removal);
  if (!removal.busy) {
    rf_syscall(SYS_lseek, removal.folder, 0, SEEK_SET);
    rf_folder_visit_fd(removal.folder, remove_file, &removal);
  }
  rf_raw_close(removal.folder);
  return !removal.busy && rf_syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR) == 0;
}

int rf_runs_prune(const char *state, unsigned keep) {
  char path[NAME_BYTES + 4096];
  struct pick pick;
  start_pick(&pick, 1);
  unsigned passed = 0;
  int removed = 0;
  while (pick_next(state, &pick) && pick.count > keep + passed) {
    if (!join(path, sizeof path, state, pick.bound)) return -ENAMETOOLONG;
    if (remove_run(path))
      removed++;
    else
      passed++;
  }
  return removed;
}
