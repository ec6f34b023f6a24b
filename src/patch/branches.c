/*
 * See branches.h. A bit map of the bytes in question, a scan of the whole text for bytes that read like a
 * branch to one of them, and for each of these few a decoding from the beginning of the function it lies in,
 * to tell instructions from their insides.
 */
#include "patch/branches.h"

#include "arch/stub.h"
#include "base/memory.h"

struct search {
  const struct rf_branch_query *query;
  uint16_t *entered;
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

/* The function that holds address, or NULL. */
static const struct rf_extent *function_of(const struct rf_branch_query *q, uintptr_t address) {
  size_t low = 0, high = q->function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (q->functions[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  while (low-- > 0) {
    const struct rf_extent *f = &q->functions[low];
    if (address - f->address < f->size) return f;
    if (f->size) return NULL;
  }
  return NULL;
}

/* Whether an instruction covers from and branches to target, when decoding begins at start. */
static bool really_branches(uintptr_t start, uintptr_t end, uintptr_t from, uintptr_t target) {
  struct rf_instruction in;
  for (uintptr_t at = start; at <= from; at += in.length) {
    if (!rf_decode((const uint8_t *)at, end - at, at, &in))
      in.length = 1;
    else if (from < at + in.length)
      return in.immediate && in.target == target;
  }
  return false;
}

/* Code that no symbol names (PLT, stripped functions) is decoded from the end of the function before it, or
 * its segment's start. */
static uintptr_t unnamed_start(const struct rf_branch_query *q, uintptr_t address) {
  uintptr_t start = q->text_start;
  for (size_t i = 0; i < q->segment_count; i++)
    if (address - q->segments[i].start < q->segments[i].end - q->segments[i].start)
      start = q->segments[i].start;
  size_t low = 0, high = q->function_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (q->functions[middle].address <= address)
      low = middle + 1;
    else
      high = middle;
  }
  if (!low) return start;
  uintptr_t end = q->functions[low - 1].address + q->functions[low - 1].size;
  return end > start && end <= address ? end : start;
}

static void hit(void *user, size_t from, size_t to) {
  struct search *search = user;
  const struct rf_branch_query *q = search->query;
  uintptr_t source = q->text_start + from, target = q->text_start + to;
  size_t index = start_at(q, target);
  uint16_t bit = (uint16_t)(1u << (target - q->starts[index]));
  if (search->entered[index] & bit) return;
  const struct rf_extent *function = function_of(q, source);
  bool own = function && function->address == q->starts[index];
  if (target == q->starts[index] && !own) return; /* a tail call to its beginning */
  uintptr_t start = function ? function->address : unnamed_start(q, source);
  uintptr_t end = function ? function->address + function->size : q->text_end;
  if (really_branches(start, end, source, target)) search->entered[index] |= bit;
}

static void mark(const struct rf_branch_query *q, uint64_t *targets) {
  for (size_t i = 0; i < q->start_count; i++) {
    size_t first = q->starts[i] - q->text_start,
           count = rf_jump_offset((const uint8_t *)q->starts[i]) + RF_JUMP_BYTES;
    for (size_t at = first; at < first + count && at < q->text_end - q->text_start; at++)
      targets[at / 64] |= (uint64_t)1 << (at % 64);
  }
}

bool rf_branches_find(const struct rf_branch_query *query, uint16_t *entered) {
  size_t bytes = query->text_end - query->text_start, map_bytes = (bytes / 64 + 1) * sizeof(uint64_t);
  uint64_t *targets = rf_pages(map_bytes);
  if (!targets) return false;
  struct search search = {query, entered};
  mark(query, targets);
  for (size_t i = 0; i < query->segment_count; i++) {
    const struct rf_segment *segment = &query->segments[i];
    struct rf_scan_range range = {(const uint8_t *)query->text_start, segment->start - query->text_start,
                                  segment->end - query->text_start};
    rf_branch_scan(&range, targets, bytes, hit, &search);
  }
  rf_pages_free(targets, map_bytes);
  return true;
}
