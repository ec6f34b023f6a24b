/*
 * See host.h. A function may be a host if everything that enters it is known:
 *
 *   - it has a size, and frame information for just these bytes: it is one function, made by a compiler;
 *   - all of it can be decoded, and no indirect jump in it may go by a table to its own instructions;
 *   - its direct branches stay inside or go to the beginnings of functions: it has no parts elsewhere, which
 *     might have tables;
 *   - no exception is handled in it.
 *
 * Then direct branches, the ends of calls and symbols are all that enters its instructions. What can't be
 * reached by these (data among the code) is no part of a run.
 */
#include "patch/host.h"

#include "arch/stub.h"
#include "base/memory.h"
#include "elf/frame_code.h"
#include "patch/patch.h"

#define RUN_MOST 40 /* bytes: longer ones only cost room */
#define FUNCTION_MOST 4096
#define WINDOWS_MOST 512

struct range {
  uintptr_t start, end;
};

static struct range *taken;
static size_t taken_count, taken_capacity, settled; /* the first ones are settled */

void rf_host_take(uintptr_t start, uintptr_t end) {
  if (taken_count == taken_capacity) {
    size_t capacity = taken_capacity ? taken_capacity * 2 : 64;
    struct range *grown = rf_realloc(taken, capacity * sizeof *grown);
    if (!grown) return;
    taken = grown;
    taken_capacity = capacity;
  }
  taken[taken_count++] = (struct range){start, end};
}

size_t rf_hosts(void) { return taken_count; }

void rf_hosts_drop(size_t count) { taken_count = count; }

void rf_host_settle(void) { settled = taken_count; }

void rf_host_forget(uintptr_t low, uintptr_t high) {
  size_t kept = 0;
  for (size_t i = 0; i < taken_count; i++)
    if (taken[i].start < low || taken[i].start >= high) taken[kept++] = taken[i];
  taken_count = settled = kept;
}

static bool overlaps(size_t first, uintptr_t start, uintptr_t end) {
  for (size_t i = first; i < taken_count; i++)
    if (start < taken[i].end && taken[i].start < end) return true;
  return false;
}

bool rf_host_covers(uintptr_t start, uintptr_t end) { return overlaps(0, start, end); }

bool rf_host_planned(uintptr_t start, uintptr_t end) { return overlaps(settled, start, end); }

/* What may not be part of a run: the beginnings of patched functions near the place that is looked for. */
struct search {
  const struct rf_patch_request *request;
  uintptr_t low, high; /* where the landing may begin */
  struct rf_extent windows[WINDOWS_MOST];
  size_t window_count;
};

static bool is_free(const struct search *s, uintptr_t start, uintptr_t end) {
  for (size_t i = 0; i < s->window_count; i++)
    if (start < s->windows[i].address + s->windows[i].size && s->windows[i].address < end) return false;
  return !rf_host_covers(start, end);
}

static size_t first_extent(const struct rf_patch_request *r, uintptr_t address) {
  size_t low = 0, high = r->function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (r->functions[middle].address < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

static bool is_beginning(const struct rf_patch_request *r, uintptr_t address) {
  size_t at = first_extent(r, address);
  return at < r->function_count && r->functions[at].address == address;
}

/* Whether something else than the instruction before leads to address; calls end where they return to. */
static bool is_entered(const struct rf_patch_request *r, uintptr_t address) {
  size_t at = rf_branch_list_at(r->branches, address);
  return (at < r->branches->count && r->branches->branches[at].to == address) || is_beginning(r, address);
}

static bool leaves_well(const struct rf_patch_request *r, const struct rf_extent *f,
                        const struct rf_instruction *in) {
  if (in->flow == RF_FLOW_OTHER || in->by_table) return false;
  bool branch = in->flow == RF_FLOW_JUMP || in->flow == RF_FLOW_BRANCH || in->flow == RF_FLOW_LOOP;
  return !branch || in->target - f->address < f->size || is_beginning(r, in->target);
}

static bool may_host(const struct rf_patch_request *r, const struct rf_extent *f) {
  struct rf_frame_code frame;
  if (!f->size || f->size > FUNCTION_MOST || !r->module || !rf_frame_code_find(r->module, f->address, &frame))
    return false;
  if (frame.begin != f->address || frame.size != f->size || frame.handlers) return false;
  struct rf_instruction in;
  for (uintptr_t at = f->address, end = at + f->size; at < end; at += in.length)
    if (!rf_decode((const uint8_t *)at, end - at, at, &in) || !leaves_well(r, f, &in)) return false;
  return true;
}

static bool goes_on(const struct rf_instruction *in) {
  return in->flow != RF_FLOW_JUMP && in->flow != RF_FLOW_INDIRECT_JUMP && in->flow != RF_FLOW_RETURN;
}

/* The run that begins at start, as far as it is needed for the landing; false: it is too short, or used. */
static bool run_from(const struct search *s, uintptr_t start, uintptr_t function_end, struct rf_host *host) {
  uintptr_t landing = start + RF_JUMP_BYTES < s->low ? s->low : start + RF_JUMP_BYTES;
  struct rf_instruction in;
  if (landing > s->high) return false;
  for (uintptr_t at = start; at < function_end && at < start + RUN_MOST; at += in.length) {
    if (at != start && is_entered(s->request, at)) return false;
    if (!rf_decode((const uint8_t *)at, function_end - at, at, &in)) return false;
    bool call = in.flow == RF_FLOW_CALL || in.flow == RF_FLOW_INDIRECT_CALL, enough;
    enough = at + in.length >= landing + RF_JUMP_BYTES;
    *host = (struct rf_host){start, at + in.length, landing};
    if (enough) return is_free(s, start, host->end);
    if (call || !goes_on(&in)) return false;
  }
  return false;
}

static bool in_function(const struct search *s, const struct rf_extent *f, struct rf_host *host) {
  struct rf_instruction in;
  bool reached = true;
  uintptr_t end = f->address + f->size;
  if (f->size > FUNCTION_MOST) return false;
  for (uintptr_t at = f->address + rf_jump_offset((const uint8_t *)f->address); at < end; at += in.length) {
    reached |= is_entered(s->request, at);
    if (reached && at + RUN_MOST > s->low && run_from(s, at, end, host)) return true;
    if (!rf_decode((const uint8_t *)at, end - at, at, &in)) return false;
    reached &= goes_on(&in);
  }
  return false;
}

bool rf_host_find(const struct rf_patch_request *r, uintptr_t low, uintptr_t high, struct rf_host *host) {
  static struct search s; /* one planner at a time */
  s.request = r, s.low = low, s.high = high;
  s.window_count = rf_patch_windows(low - RF_HOST_AREA, high + RF_HOST_AREA, s.windows, WINDOWS_MOST);
  if (s.window_count == WINDOWS_MOST) return false;
  for (size_t i = first_extent(r, low - FUNCTION_MOST); i < r->function_count; i++) {
    const struct rf_extent *f = &r->functions[i];
    if (f->address > high) return false;
    if (f->address + f->size <= low || f->address == r->address) continue;
    if (in_function(&s, f, host) && may_host(r, f)) return true;
  }
  return false;
}
