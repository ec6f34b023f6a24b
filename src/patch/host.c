/*
 * See host.h. A function may be a host if everything that enters it is known:
 *
 *   - its symbol's size is that of its frame information, or it has no symbol and is called: so it is one
 *     function, made by a compiler;
 *   - all of it can be decoded, and no indirect jump in it may go by a table to its own instructions;
 *   - its direct branches stay inside or go to the beginnings of functions, which have no such jumps either:
 *     parts of it that lie elsewhere have no tables that lead back;
 *   - no address of its own instructions is taken, by itself, data, or anybody else, and none of them are
 *     reached by nothing known (labels in tables of addresses, as threaded code has);
 *   - no exception is handled in it.
 *
 * Then direct branches, the ends of calls and symbols are all that enters its instructions. What can't be
 * reached by these (data among the code) is no part of a run.
 */
#include "patch/host.h"

#include <string.h>

#include "arch/stub.h"
#include "base/memory.h"
#include "elf/frame_code.h"
#include "patch/labels.h"
#include "patch/patch.h"

#define RUN_MOST 40 /* bytes: longer ones only cost room */
#define FUNCTION_MOST 4096
#define WINDOWS_MOST 512

static struct rf_patch_window *taken;
static size_t taken_count, taken_capacity, settled; /* the first ones are settled */

void rf_host_take(uintptr_t start, uintptr_t end, bool goes_on) {
  if (taken_count == taken_capacity) {
    size_t capacity = taken_capacity ? taken_capacity * 2 : 64;
    struct rf_patch_window *grown = rf_realloc(taken, capacity * sizeof *grown);
    if (!grown) return;
    taken = grown;
    taken_capacity = capacity;
  }
  taken[taken_count++] = (struct rf_patch_window){start, end, goes_on};
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
  bool in_loops;       /* runs in loops will do as well: moving them costs two jumps each time round */
  struct rf_patch_window windows[WINDOWS_MOST];
  size_t window_count;
};

static bool is_free(const struct search *s, uintptr_t start, uintptr_t end) {
  for (size_t i = 0; i < s->window_count; i++)
    if (start < s->windows[i].end && s->windows[i].start < end) return false;
  return !rf_host_covers(start, end);
}

static size_t first_extent(const struct rf_patch_request *r, uintptr_t address) {
  return rf_extent_from(r->functions, r->function_count, address);
}

static bool is_beginning(const struct rf_patch_request *r, uintptr_t address) {
  size_t at = first_extent(r, address);
  return at < r->function_count && r->functions[at].address == address;
}

/* Whether something else than the instruction before leads to a byte of [start, end); calls end where they
 * return to. */
static bool is_entered(const struct rf_patch_request *r, uintptr_t start, uintptr_t end) {
  size_t branch = rf_branch_list_at(r->branches, start), symbol = first_extent(r, start);
  return (branch < r->branches->count && r->branches->branches[branch].to < end) ||
         (symbol < r->function_count && r->functions[symbol].address < end);
}

static bool calls_inside(const struct rf_extent *f, const struct rf_instruction *in) {
  return in->flow == RF_FLOW_CALL && in->target - f->address - 1 < f->size - 1;
}

/* Whether the function that a jump goes to may go on to anywhere in the one that it comes from: a cold part
 * with a table, or a thunk that stands for an indirect jump. */
static bool leads_anywhere(const struct rf_patch_request *r, uintptr_t address) {
  struct rf_extent f = r->functions[first_extent(r, address)];
  struct rf_instruction in;
  if (f.size > FUNCTION_MOST) f.size = FUNCTION_MOST;
  for (uintptr_t at = address, end = at + f.size; at < end; at += in.length)
    if (!rf_decode((const uint8_t *)at, end - at, at, &in) || in.by_table || calls_inside(&f, &in))
      return true;
  return f.size == 0;
}

static bool is_jump(const struct rf_instruction *in) {
  return in->flow == RF_FLOW_JUMP || in->flow == RF_FLOW_BRANCH || in->flow == RF_FLOW_LOOP;
}

static bool leaves_well(const struct rf_patch_request *r, const struct rf_extent *f, uintptr_t at,
                        const struct rf_instruction *in) {
  if (in->flow == RF_FLOW_OTHER || rf_names_inside(f, at, in) || calls_inside(f, in)) return false;
  if (in->flow == RF_FLOW_INDIRECT_JUMP) return in->displacement; /* else through a table of labels */
  if (!is_jump(in) || in->target - f->address < f->size || rf_patch_is_stub(in->target)) return true;
  return is_beginning(r, in->target) && !leads_anywhere(r, in->target);
}

static bool needs_room(const struct rf_patch_request *r, uintptr_t function) {
  size_t low = 0, high = r->scarce_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (r->scarce[middle] < function)
      low = middle + 1;
    else
      high = middle;
  }
  return low < r->scarce_count && r->scarce[low] == function;
}

static bool goes_on(const struct rf_instruction *in) {
  return in->flow != RF_FLOW_JUMP && in->flow != RF_FLOW_INDIRECT_JUMP && in->flow != RF_FLOW_RETURN;
}

/* Moved instructions come back behind what was moved. */
static bool is_come_back_to(const struct search *s, uintptr_t address) {
  for (size_t i = 0; i < s->window_count; i++)
    if (s->windows[i].end == address && s->windows[i].goes_on) return true;
  for (size_t i = 0; i < taken_count; i++)
    if (taken[i].end == address && taken[i].goes_on) return true;
  return false;
}

/* Whether the branches to address are all in the list. */
static bool is_listed(const struct rf_patch_request *r, uintptr_t address) {
  return address - (r->address - RF_PATCH_AREA) < 2 * RF_PATCH_AREA;
}

/* Behind what was moved of a patched function, of which remains are left; 0: at is no such jump. */
static uintptr_t behind_moved(uintptr_t at, const struct rf_instruction *in, bool *comes_back) {
  struct rf_patch_window window;
  if (in->flow != RF_FLOW_JUMP || !rf_patch_is_stub(in->target) || !rf_patch_windows(at, at + 1, &window, 1))
    return 0;
  *comes_back = window.goes_on;
  return window.end;
}

/* Whether all of it can be decoded, and whatever it does not run into is entered by something known. */
static bool is_known(const struct search *s, const struct rf_extent *f) {
  const struct rf_patch_request *r = s->request;
  struct rf_instruction in;
  bool reached = true;
  for (uintptr_t at = f->address, end = at + f->size, next; at < end; at = next) {
    if (!rf_decode((const uint8_t *)at, end - at, at, &in) || !leaves_well(r, f, at, &in)) return false;
    next = at + in.length;
    reached |= !is_listed(r, at) || is_entered(r, at, at + 1) || is_come_back_to(s, at);
    bool ours = in.flow == RF_FLOW_JUMP && rf_patch_is_stub(in.target);
    if (!reached && !in.padding && !ours) return false;
    reached &= goes_on(&in);
    uintptr_t behind = behind_moved(at, &in, &reached);
    if (behind) next = behind;
  }
  return true;
}

/* Whether data or an instruction holds an address of the function's middle: of a label, or of a restartable
 * sequence, which the kernel knows by its place. */
static bool has_labels(const struct rf_patch_request *r, const struct rf_extent *f) {
  const struct rf_branch_list *list = r->branches;
  for (size_t i = rf_branch_list_at(list, f->address + 1);
       i < list->count && list->branches[i].to < f->address + f->size; i++)
    if (list->branches[i].flow == RF_FLOW_OTHER && !list->branches[i].from) return true;
  return false;
}

static bool may_host(const struct search *s, const struct rf_extent *f) {
  const struct rf_patch_request *r = s->request;
  struct rf_frame_code frame;
  if (!f->size || f->size > FUNCTION_MOST || !r->module || needs_room(r, f->address) ||
      !rf_frame_code_find(r->module, f->address, &frame))
    return false;
  return frame.begin == f->address && frame.size == f->size && !frame.handlers && !has_labels(r, f) &&
         is_known(s, f);
}

/* A later look at the function must find where it saves the register that timing uses. */
static bool saves_record(uintptr_t at, uintptr_t end) {
  size_t length;
  enum rf_record_use use = rf_decode_record_use((const uint8_t *)at, end - at, &length);
  return use == RF_USE_SAVES || use == RF_USE_COPIES;
}

/* Whether a branch leads from address or behind it to address or before it. */
static bool is_in_loop(const struct search *s, const struct rf_extent *f, uintptr_t address) {
  const struct rf_branch_list *list = s->request->branches;
  for (size_t i = rf_branch_list_at(list, f->address); i < list->count && list->branches[i].to <= address;
       i++)
    if (list->branches[i].from >= address && list->branches[i].from < f->address + f->size) return true;
  return false;
}

/* Instructions whose very address matters: where probes are put (nop), or are now (int3), and system calls,
 * for whose addresses handlers and filters look. */
static bool is_watched(uintptr_t at) {
  const uint8_t *code = (const uint8_t *)at;
  return code[0] == 0x90 || code[0] == RF_TRAP_BYTE || (code[0] == 0x0f && code[1] == 0x05);
}

/* The run that begins at start, as far as it is needed for the landing; false: it is too short, or used. */
static bool run_from(const struct search *s, uintptr_t start, uintptr_t function_end, struct rf_host *host) {
  uintptr_t landing = start + RF_JUMP_BYTES < s->low ? s->low : start + RF_JUMP_BYTES;
  struct rf_instruction in;
  if (landing > s->high) return false;
  for (uintptr_t at = start; at < function_end && at < start + RUN_MOST; at += in.length) {
    if (!rf_decode((const uint8_t *)at, function_end - at, at, &in) || saves_record(at, function_end))
      return false;
    uintptr_t inside = at == start ? at + 1 : at; /* also behind a prefix that branches leave out */
    if (is_entered(s->request, inside, at + in.length) || is_watched(at)) return false;
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
    reached |= is_entered(s->request, at, at + 1) || is_come_back_to(s, at);
    bool wanted = reached && at + RUN_MOST > s->low && (s->in_loops || !is_in_loop(s, f, at));
    if (wanted && run_from(s, at, end, host)) return true;
    if (!rf_decode((const uint8_t *)at, end - at, at, &in)) return false;
    reached &= goes_on(&in);
  }
  return false;
}

static bool among_symbols(const struct search *s, struct rf_host *host) {
  const struct rf_patch_request *r = s->request;
  for (size_t i = first_extent(r, s->low - FUNCTION_MOST); i < r->function_count; i++) {
    const struct rf_extent *f = &r->functions[i];
    if (f->address > s->high) return false;
    if (f->address + f->size > s->low && in_function(s, f, host) && may_host(s, f)) return true;
  }
  return false;
}

static bool is_called(const struct rf_patch_request *r, uintptr_t address) {
  for (size_t i = rf_branch_list_at(r->branches, address);
       i < r->branches->count && r->branches->branches[i].to == address; i++)
    if (r->branches->branches[i].flow == RF_FLOW_CALL) return true;
  return false;
}

/* Functions that no symbol names, by their frame information: those that are called, since parts of functions
 * that lie elsewhere look the same. */
static bool among_unnamed(const struct search *s, struct rf_host *host) {
  const struct rf_patch_request *r = s->request;
  struct rf_frame_code frame;
  for (uintptr_t at = s->low; r->module && at <= s->high; at++) {
    if (!rf_frame_code_find(r->module, at, &frame)) continue;
    struct rf_extent f = {frame.begin, frame.size};
    bool named = is_beginning(r, f.address);
    if (!named && is_called(r, f.address) && in_function(s, &f, host) && may_host(s, &f)) return true;
    at = f.address + f.size - 1;
  }
  return false;
}

bool rf_host_find(const struct rf_patch_request *r, uintptr_t low, uintptr_t high, struct rf_host *host) {
  static struct search s; /* one planner at a time */
  s.request = r, s.low = low, s.high = high;
  if (low - RF_HOST_AREA < r->address - RF_PATCH_AREA || high + RF_HOST_AREA > r->address + RF_PATCH_AREA)
    return false;
  s.window_count = rf_patch_windows(low - RF_HOST_AREA, high + RF_HOST_AREA, s.windows, WINDOWS_MOST);
  for (int loops = 0; loops < 2 && s.window_count < WINDOWS_MOST; loops++) {
    s.in_loops = loops;
    if (among_symbols(&s, host) || among_unnamed(&s, host)) return true;
  }
  return false;
}
