/* See runs.h. */
#include "patch/runs.h"

#include <string.h>

#include "patch/edits.h"
#include "patch/text.h"

#define PAGE ((uintptr_t)4096)

struct run {
  uint8_t *copy;
  uintptr_t start, end; /* whole pages */
};

/* Makes the run reach to end, if that is not too far. */
static bool extend(struct run *run, uintptr_t end) {
  end = (end + PAGE - 1) & ~(PAGE - 1);
  if (end <= run->end) return true;
  if (end - run->start > RF_RUN_BYTES) return false;
  memcpy(run->copy + (run->end - run->start), (const void *)run->end, end - run->end);
  run->end = end;
  return true;
}

/* false: the edit must be written alone, or begins before the run or behind the page that follows it: pages
 * between two changed ones may not even be mapped. */
static bool take(struct run *run, const struct rf_edit *edit) {
  if (!edit->quiet || edit->address < run->start || edit->address >= run->end + PAGE) return false;
  if (!extend(run, edit->address + edit->count)) return false;
  memcpy(run->copy + (edit->address - run->start), edit->bytes, edit->count);
  return true;
}

static size_t write_run(struct run *run, const struct rf_edit *edits, size_t count) {
  size_t taken = 0;
  run->start = run->end = edits[0].address & ~(PAGE - 1);
  while (taken < count && take(run, &edits[taken])) taken++;
  return taken && rf_text_write((void *)run->start, run->copy, run->end - run->start) == 0 ? taken : 0;
}

size_t rf_run_write(const struct rf_edit *edits, size_t count, void *room) {
  struct run run = {.copy = room};
  return room && count ? write_run(&run, edits, count) : 0;
}
