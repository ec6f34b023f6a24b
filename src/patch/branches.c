/*
 * See branches.h. A bit map of the bytes in question, a scan of the whole text for bytes that read like a
 * branch to one of them, and for each of these few a decoding from the beginning of the function it lies in,
 * to tell instructions from their insides.
 */
#include "patch/branches.h"

#include "arch/stub.h"
#include "base/memory.h"
#include "elf/frame_code.h"
#include "patch/labels.h"
#include "patch/patch.h"

/* What nothing names and is so far behind the last thing known is taken for what it reads like: it is data
 * mostly, and there may be megabytes of it. */
enum { FAR = 1 << 16 };

struct search {
  const struct rf_branch_query *query;
  uint16_t *entered;
  struct rf_branch_cursor cursor;
};

/* Index of the last start at or before address. */
static size_t start_at(const struct rf_branch_query *q, uintptr_t address) {
  size_t low = 0, high = q->start_count;
  while (high - low > 1) {
    size_t middle = (low + high) / 2;
    if (q->starts[middle] <= address)
      low = middle;
    else
      high = middle;
  }
  return low;
}

const struct rf_extent *rf_branch_function(const struct rf_branch_query *q, uintptr_t address) {
  size_t low = rf_extent_from(q->functions, q->function_count, address + 1);
  while (low-- > 0) {
    const struct rf_extent *f = &q->functions[low];
    if (address - f->address < f->size) return f;
    if (f->size) return NULL;
  }
  return NULL;
}

/* The instruction that covers from, if it branches to target, when decoding begins at start. */
static bool branch_at(struct rf_branch_cursor *cursor, uintptr_t start, uintptr_t end, uintptr_t from,
                      uintptr_t target, struct rf_branch *found) {
  struct rf_instruction in;
  if (cursor->start != start || cursor->at > from) *cursor = (struct rf_branch_cursor){start, start};
  for (uintptr_t at = cursor->at; at <= from; at += in.length) {
    cursor->at = at;
    if (!rf_decode((const uint8_t *)at, end - at, at, &in)) {
      in.length = 1;
      continue;
    }
    if (from >= at + in.length) continue;
    *found = (struct rf_branch){at, target, in.length, in.immediate, in.immediate_bytes, in.flow};
    return in.immediate && in.target == target;
  }
  return false;
}

/* ... and whether it is in such an instruction's middle that a word lies which is no distance. */
static bool word_at(struct rf_branch_cursor *cursor, uintptr_t start, uintptr_t end, uintptr_t word) {
  struct rf_instruction in;
  if (cursor->start != start || cursor->at > word) *cursor = (struct rf_branch_cursor){start, start};
  for (uintptr_t at = cursor->at; at <= word; at += in.length) {
    cursor->at = at;
    if (!rf_decode((const uint8_t *)at, end - at, at, &in)) {
      in.length = 1;
      continue;
    }
    if (word >= at + in.length) continue;
    uintptr_t distance = at + in.displacement;
    bool apart = !in.displacement || word >= distance + 4 || word + 4 <= distance;
    return word > at && word + 4 <= at + in.length && apart && !in.immediate;
  }
  return false;
}

/* Code that no symbol names (PLT, stripped functions) is decoded from where its frame information begins, or
 * the end of the function before it, or its segment's start. */
static uintptr_t unnamed_start(const struct rf_branch_query *q, uintptr_t address) {
  struct rf_frame_code frame;
  if (q->module && rf_frame_code_find(q->module, address, &frame)) return frame.begin;
  uintptr_t start = q->text_start;
  for (size_t i = 0; i < q->segment_count; i++)
    if (address - q->segments[i].start < q->segments[i].end - q->segments[i].start)
      start = q->segments[i].start;
  size_t low = rf_extent_from(q->functions, q->function_count, address + 1);
  if (!low) return start;
  uintptr_t end = q->functions[low - 1].address + q->functions[low - 1].size;
  return end > start && end <= address ? end : start;
}

/* Where decoding a function begins: behind what was moved away, of which remains are left. */
static uintptr_t code_start(uintptr_t function) {
  struct rf_instruction in;
  struct rf_patch_window window;
  uintptr_t jump = function + rf_jump_offset((const uint8_t *)function);
  bool patched = rf_decode((const uint8_t *)jump, RF_JUMP_BYTES, jump, &in) && in.flow == RF_FLOW_JUMP &&
                 rf_patch_is_stub(in.target) && rf_patch_windows(jump, jump + 1, &window, 1);
  return patched ? window.end : function;
}

/* Where to decode from, to come to an address, and up to where. */
static struct rf_segment code_around(const struct rf_branch_query *q, const struct rf_extent *function,
                                     uintptr_t address) {
  if (function) return (struct rf_segment){code_start(function->address), function->address + function->size};
  uintptr_t start = unnamed_start(q, address);
  if (address - start > FAR) start = address;
  return (struct rf_segment){start, q->text_end};
}

bool rf_branch_holds_word(const struct rf_branch_query *q, struct rf_branch_cursor *cursor,
                          uintptr_t address) {
  struct rf_segment code = code_around(q, rf_branch_function(q, address), address);
  return word_at(cursor, code.start, code.end, address);
}

static bool is_branch(const struct rf_branch_query *q, struct rf_branch_cursor *cursor,
                      const struct rf_extent *function, uintptr_t source, uintptr_t target,
                      struct rf_branch *found) {
  struct rf_segment code = code_around(q, function, source);
  return branch_at(cursor, code.start, code.end, source, target, found);
}

/* Where a symbol gives no size, the function goes on to the next one. */
static bool is_in_function(const struct rf_branch_query *q, const struct rf_extent *around, uintptr_t address,
                           uintptr_t start) {
  if (around) return around->address == start;
  size_t next = rf_extent_from(q->functions, q->function_count, address + 1);
  return next && q->functions[next - 1].address == start && !q->functions[next - 1].size;
}

static void hit(void *user, size_t from, size_t to) {
  struct search *search = user;
  const struct rf_branch_query *q = search->query;
  uintptr_t source = q->text_start + from, target = q->text_start + to;
  size_t index = start_at(q, target);
  uint16_t bit = (uint16_t)(1u << (target - q->starts[index]));
  const struct rf_extent *function = rf_branch_function(q, source);
  bool own = is_in_function(q, function, source, q->starts[index]);
  if (!own) bit |= RF_ENTERED_ELSEWHERE;
  if ((search->entered[index] & bit) == bit) return;
  if (target == q->starts[index] && !own) return; /* a tail call to its beginning */
  struct rf_branch found;
  if (!is_branch(q, &search->cursor, function, source, target, &found)) return;
  bool recursion = found.flow == RF_FLOW_CALL && target == q->starts[index];
  if (!recursion) search->entered[index] |= bit;
}

/* From a stub: moved there before. What only looks like a branch does no harm. */
static void stub_hit(void *user, size_t from, size_t to) {
  struct search *search = user;
  const struct rf_branch_query *q = search->query;
  uintptr_t target = q->text_start + to;
  size_t index = start_at(q, target), byte = target - q->starts[index];
  (void)from;
  if (byte) search->entered[index] |= (uint16_t)(1u << byte | RF_ENTERED_ELSEWHERE);
}

/* Data that holds the place of the jump is no branch there: builds for live patching have it in a section. */
static bool is_beginning_for(uintptr_t start, uintptr_t from, uintptr_t to) {
  return to == start || (!from && to == start + rf_jump_offset((const uint8_t *)start));
}

static void label_hit(void *user, uintptr_t from, uintptr_t to) {
  struct search *search = user;
  const struct rf_branch_query *q = search->query;
  size_t index = start_at(q, to);
  uintptr_t start = q->starts[index];
  const struct rf_extent *around = from ? rf_branch_function(q, from) : NULL;
  bool own_table = to == start && around && around->address == start;
  if (is_beginning_for(start, from, to) && !own_table) return;
  search->entered[index] |= (uint16_t)(1u << (to - start) | RF_ENTERED_ELSEWHERE);
}

static void mark_range(const struct rf_branch_query *q, uint64_t *targets, uintptr_t start, size_t count) {
  size_t skipped = start < q->text_start ? q->text_start - start : 0;
  size_t first = start + skipped - q->text_start;
  for (size_t at = first; at + skipped < first + count && at < q->text_end - q->text_start; at++)
    targets[at / 64] |= (uint64_t)1 << (at % 64);
}

static uint64_t *target_map(const struct rf_branch_query *q, size_t *bytes) {
  *bytes = ((q->text_end - q->text_start) / 64 + 1) * sizeof(uint64_t);
  return rf_pages(*bytes);
}

struct scan {
  const struct rf_branch_query *query;
  const uint64_t *targets;
  bool inside; /* of calls only those to the middle */
  void (*in_text)(void *user, size_t from, size_t to), (*in_stubs)(void *user, size_t from, size_t to);
  void *user;
};

/* Offsets count from the text's start, also of what lies before it. */
static void scan_range(const struct scan *s, uintptr_t start, uintptr_t end,
                       void (*found)(void *user, size_t from, size_t to)) {
  uintptr_t text = s->query->text_start;
  struct rf_scan_range range = {(const uint8_t *)text, start - text, end - text, true, s->inside};
  rf_branch_scan(&range, s->targets, s->query->text_end - text, found, s->user);
}

static void scan_stubs(void *user, uintptr_t start, uintptr_t end) {
  const struct scan *s = user;
  scan_range(s, start, end, s->in_stubs);
}

static void scan(struct scan *s) {
  for (size_t i = 0; i < s->query->segment_count; i++)
    scan_range(s, s->query->segments[i].start, s->query->segments[i].end, s->in_text);
  rf_patch_visit_stubs(scan_stubs, s);
}

bool rf_branches_find(const struct rf_branch_query *query, uint16_t *entered) {
  size_t bytes;
  uint64_t *targets = target_map(query, &bytes);
  if (!targets) return false;
  struct search search = {query, entered, {0, 0}};
  for (size_t i = 0; i < query->start_count; i++)
    mark_range(query, targets, query->starts[i],
               rf_jump_offset((const uint8_t *)query->starts[i]) + RF_JUMP_BYTES);
  struct scan all = {query, targets, true, hit, stub_hit, &search};
  scan(&all);
  if (query->labels) rf_labels_visit(query, query->labels, targets, label_hit, &search);
  rf_pages_free(targets, bytes);
  return true;
}

/* ---- lists ---- */

struct listing {
  const struct rf_branch_query *query;
  struct rf_branch_list *list;
  bool failed;
  struct rf_branch_cursor cursor;
};

static bool room_for_branch(struct rf_branch_list *list) {
  if (list->count < list->capacity) return true;
  size_t capacity = list->capacity ? list->capacity * 2 : 64;
  struct rf_branch *grown = rf_realloc(list->branches, capacity * sizeof *grown);
  if (!grown) return false;
  list->branches = grown, list->capacity = capacity;
  return true;
}

/* Kept in order as they come: they are few, and come nearly in order of their sources. */
static void insert(struct rf_branch_list *list, const struct rf_branch *fresh) {
  size_t at = rf_branch_list_at(list, fresh->to);
  for (size_t i = at; i < list->count && list->branches[i].to == fresh->to; i++)
    if (list->branches[i].from == fresh->from) return; /* with and without a prefix */
  for (size_t i = list->count++; i > at; i--) list->branches[i] = list->branches[i - 1];
  list->branches[at] = *fresh;
}

static void list_hit(void *user, size_t from, size_t to) {
  struct listing *listing = user;
  const struct rf_branch_query *q = listing->query;
  uintptr_t source = q->text_start + from, target = q->text_start + to;
  const struct rf_extent *function = rf_branch_function(q, source), *entered = rf_branch_function(q, target);
  bool beginning = entered && entered->address == target;
  struct rf_branch found;
  if (listing->failed || (beginning && entered != function)) return;
  if (!is_branch(q, &listing->cursor, function, source, target, &found)) return;
  if (room_for_branch(listing->list))
    insert(listing->list, &found);
  else
    listing->failed = true;
}

static void list_stub_hit(void *user, size_t from, size_t to) {
  struct listing *listing = user;
  uintptr_t text = listing->query->text_start;
  struct rf_branch found = {.from = text + from, .to = text + to, .flow = RF_FLOW_OTHER};
  if (listing->failed || !room_for_branch(listing->list))
    listing->failed = true;
  else
    insert(listing->list, &found);
}

static void list_label(void *user, uintptr_t from, uintptr_t to) {
  struct listing *listing = user;
  const struct rf_branch_query *q = listing->query;
  const struct rf_extent *entered = rf_branch_function(q, to), *around = rf_branch_function(q, from);
  bool own_table = from && entered && entered == around;
  if (entered && is_beginning_for(entered->address, from, to) && !own_table) return;
  struct rf_branch found = {
      .from = own_table && entered->address == to ? from : 0, .to = to, .flow = RF_FLOW_OTHER};
  if (listing->failed || !room_for_branch(listing->list))
    listing->failed = true;
  else
    insert(listing->list, &found);
}

bool rf_branches_list(const struct rf_branch_query *query, const struct rf_extent *areas, size_t area_count,
                      struct rf_branch_list *list) {
  size_t bytes;
  uint64_t *targets = target_map(query, &bytes);
  struct listing listing = {.query = query, .list = list, .failed = targets == NULL};
  *list = (struct rf_branch_list){0};
  for (size_t i = 0; targets && i < area_count; i++)
    mark_range(query, targets, areas[i].address, areas[i].size);
  struct scan all = {query, targets, false, list_hit, list_stub_hit, &listing};
  if (targets) scan(&all);
  if (targets && query->labels) rf_labels_visit(query, query->labels, targets, list_label, &listing);
  if (targets) rf_pages_free(targets, bytes);
  if (listing.failed) rf_branch_list_free(list);
  return !listing.failed;
}

void rf_branch_list_free(struct rf_branch_list *list) {
  rf_free(list->branches);
  *list = (struct rf_branch_list){0};
}

size_t rf_branch_list_at(const struct rf_branch_list *list, uintptr_t address) {
  size_t low = 0, high = list->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (list->branches[middle].to < address)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}
