/* See roots.h. */
#include "heap/roots.h"

#include <string.h>

#include "arch/entry.h"
#include "base/memory.h"

#include "heap/allocator.h"
#include "heap/jemalloc.h"
#include "heap/smaps.h"
#include "recording/threads.h"

/* glibc's arenas beside the main one lie in regions of this size and alignment. */
#define ARENA ((uintptr_t)64 << 20)

#define PAGE ((uintptr_t)4096)
#define CONTROL_HEAD (4 * sizeof(uintptr_t))
#define MOVER_STACK 2048 /* of a thread in realloc: the frames of libc in front of the app's */
#define HEADER (2 * sizeof(uintptr_t))

struct rf_area {
  uintptr_t start, end;
  bool accessible, root, direct, arena;
  bool libc; /* its data, where its main arena is */
};

extern char _IO_2_1_stdout_[] __attribute__((weak)); /* in the data of glibc */

/* ---- which mappings ---- */

extern const char __ehdr_start[] __attribute__((visibility("hidden"))),
    _end[] __attribute__((visibility("hidden")));

static bool in_this_library(uintptr_t address) {
  return address - (uintptr_t)__ehdr_start < (uintptr_t)_end - (uintptr_t)__ehdr_start;
}

/* Refunc's small heap may hold what libc allocated on its behalf. */
static bool is_table(const struct rf_mapping *mapping) {
  return mapping->own && !rf_owns((const void *)mapping->start);
}

static bool is_device(const struct rf_mapping *mapping) {
  static const char *const memory[] = {"/dev/shm/", "/dev/zero", "/dev/hugepages"};
  if (mapping->special) return true;
  if (strncmp(mapping->name, "/dev/", 5) != 0) return false;
  for (size_t i = 0; i < sizeof memory / sizeof *memory; i++)
    if (!strncmp(mapping->name, memory[i], strlen(memory[i]))) return false;
  return true;
}

/* What can't be written to any more counts where it was: data of modules after relocation. Code is patched,
 * but holds nothing. */
static bool is_root(const struct rf_mapping *mapping) {
  if (!mapping->readable || is_table(mapping) || is_device(mapping)) return false;
  if (!mapping->rss_bytes && !mapping->swap_bytes) return false;
  return mapping->writable || (mapping->anonymous_bytes && !(mapping->executable && mapping->file));
}

/*
 * The beginning of a region of an arena: its arena's address (in the first region of that arena, near its
 * beginning), the region before it, how much of it is in use, and how much can be written to.
 */
static bool begins_as_arena(const struct rf_mapping *mapping) {
  const uintptr_t *word = (const uintptr_t *)mapping->start, near = 4096;
  uintptr_t length = mapping->end - mapping->start;
  return word[0] % ARENA < near && word[0] >= ARENA && word[1] % ARENA == 0 && word[2] % 4096 == 0 &&
         word[2] && word[2] <= word[3] && word[3] <= length;
}

/* Reading its beginning is safe while everything stands still; else a block in it must tell. */
static bool is_arena(const struct rf_roots *roots, const struct rf_mark *mark,
                     const struct rf_mapping *mapping) {
  if (!strcmp(mapping->name, "[heap]") || rf_jemalloc_holds((const void *)mapping->start)) return true;
  if (mapping->file || !mapping->readable || !mapping->writable) return false;
  uintptr_t low = mapping->start & ~(ARENA - 1);
  size_t first = rf_mark_first_from(mark, low);
  if (first < mark->blocks && mark->block[first].start < low + ARENA && mark->block[first].arena) return true;
  return rf_app.glibc && roots->halt->all && low == mapping->start && begins_as_arena(mapping);
}

struct finding {
  struct rf_roots *roots;
  const struct rf_mark *mark;
  bool full;
};

static bool make_area_room(struct rf_roots *roots) {
  if (roots->areas < roots->area_room) return true;
  size_t room = roots->area_room ? 2 * roots->area_room : 4096;
  struct rf_area *grown = rf_pages(room * sizeof *grown);
  if (!grown) return false;
  memcpy(grown, roots->area, roots->areas * sizeof *grown);
  rf_pages_free(roots->area, roots->area_room * sizeof *grown);
  roots->area = grown;
  roots->area_room = room;
  return true;
}

static void add_area(struct finding *finding, const struct rf_mapping *mapping, bool root) {
  struct rf_roots *roots = finding->roots;
  if (!make_area_room(roots)) {
    finding->full = true;
    return;
  }
  roots->area[roots->areas++] =
      (struct rf_area){.start = mapping->start,
                       .end = mapping->end,
                       .accessible = mapping->readable || mapping->writable,
                       .root = root,
                       .direct = root && !mapping->file && !mapping->shared,
                       .arena = root && is_arena(roots, finding->mark, mapping),
                       .libc = (uintptr_t)_IO_2_1_stdout_ - mapping->start < mapping->end - mapping->start};
}

/* An arena ends with its region, whatever lies behind it. */
static uintptr_t end_of_arena(const struct finding *finding, const struct rf_mapping *mapping) {
  uintptr_t region = (mapping->start & ~(ARENA - 1)) + ARENA;
  if (region >= mapping->end || !strcmp(mapping->name, "[heap]") ||
      rf_jemalloc_holds((const void *)mapping->start))
    return mapping->end;
  return is_arena(finding->roots, finding->mark, mapping) ? region : mapping->end;
}

/* What is mapped right behind this library's data, the kernel tells as one with it. */
static void add_mapping(void *user, const struct rf_mapping *mapping) {
  struct rf_mapping rest = *mapping, own = *mapping;
  uintptr_t end = ((uintptr_t)_end + PAGE - 1) & ~(PAGE - 1);
  if (in_this_library(mapping->start)) {
    own.end = rest.start = end < mapping->end ? end : mapping->end;
    add_area(user, &own, false);
  }
  while (rest.start < rest.end) {
    struct rf_mapping piece = rest;
    piece.end = end_of_arena(user, &rest);
    add_area(user, &piece, is_root(&piece));
    rest.start = piece.end;
  }
}

/* ---- parts of stacks ---- */

static void add_gap(struct rf_roots *roots, uintptr_t low, uintptr_t high) {
  if (low < high && roots->gaps < roots->gap_room) roots->gap[roots->gaps++] = (struct rf_range){low, high};
}

/* What a stack does not use. pointer: where what it uses begins. */
static bool cut_stack(struct rf_roots *roots, const struct rf_thread *thread, uintptr_t pointer) {
  bool on_it = pointer > thread->stack_low && pointer < thread->stack_high;
  if (on_it) add_gap(roots, thread->stack_low, pointer);
  return on_it;
}

static const struct rf_halted *halted_of(const struct rf_halt *halt, uint32_t tid) {
  for (size_t i = 0; i < halt->threads; i++)
    if (halt->thread[i].tid == tid) return &halt->thread[i];
  return NULL;
}

static bool is_used(const struct rf_roots *roots, uintptr_t low, uintptr_t high) {
  if (roots->here >= low && roots->here < high) return true;
  for (size_t i = 0; i < roots->halt->threads; i++)
    if (roots->halt->thread[i].stack >= low && roots->halt->thread[i].stack < high) return true;
  return false;
}

/* libc keeps stacks of threads that have ended, with all that is on them. It is one if it begins behind a
 * guard. */
static bool is_kept_stack(const struct rf_roots *roots, uintptr_t low) {
  for (size_t i = 1; i < roots->areas; i++)
    if (roots->area[i].start == low)
      return roots->area[i].root && roots->area[i - 1].end == low && !roots->area[i - 1].accessible;
  return false;
}

/* All of it but for the head of the thread's control block: it leads to tables that libc uses again. */
static void cut_kept_stack(struct rf_roots *roots, const struct rf_thread *thread) {
  add_gap(roots, thread->stack_low, thread->tcb);
  add_gap(roots, thread->tcb + CONTROL_HEAD, thread->stack_high);
}

static void cut_stacks(struct rf_roots *roots) {
  uint32_t mine = roots->halt->caller;
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next) {
    const struct rf_halted *halted = halted_of(roots->halt, thread->tid);
    if (thread->tid == mine)
      cut_stack(roots, thread, roots->here);
    else if (halted && halted->stack)
      cut_stack(roots, thread, halted->stack);
    else if (!halted && roots->halt->all && thread->tid != roots->halt->left_out &&
             !is_used(roots, thread->stack_low, thread->stack_high) &&
             is_kept_stack(roots, thread->stack_low))
      cut_kept_stack(roots, thread);
  }
}

static void sort(struct rf_range *range, size_t count) {
  for (size_t step = count / 2; step; step /= 2)
    for (size_t i = step; i < count; i++)
      for (size_t j = i; j >= step && range[j].start < range[j - step].start; j -= step) {
        struct rf_range other = range[j];
        range[j] = range[j - step];
        range[j - step] = other;
      }
}

/* ---- all of it ---- */

static bool make_gap_room(struct rf_roots *roots) {
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    roots->gap_room += 2;
  roots->gap = rf_pages((roots->gap_room + 1) * sizeof *roots->gap);
  roots->direct = rf_pages((roots->areas + 1) * sizeof *roots->direct);
  return roots->gap && roots->direct;
}

static void allow_direct(struct rf_roots *roots, struct rf_mark *mark) {
  if (!roots->halt->all) return;
  for (size_t i = 0; i < roots->areas; i++)
    if (roots->area[i].direct)
      roots->direct[mark->directs++] = (struct rf_range){roots->area[i].start, roots->area[i].end};
  mark->direct = roots->direct;
}

bool rf_roots_find(struct rf_roots *roots, struct rf_mark *mark) {
  struct finding finding = {roots, mark, false};
  if (!rf_smaps_visit(add_mapping, &finding) || finding.full || !make_gap_room(roots)) return false;
  allow_direct(roots, mark);
  cut_stacks(roots);
  sort(roots->gap, roots->gaps);
  return true;
}

void rf_roots_end(struct rf_roots *roots) {
  rf_pages_free(roots->area, roots->area_room * sizeof *roots->area);
  rf_pages_free(roots->gap, (roots->gap_room + 1) * sizeof *roots->gap);
  rf_pages_free(roots->direct, (roots->areas + 1) * sizeof *roots->direct);
}

/* An area but for the gaps from number i on. */
static void mark_area(const struct rf_roots *roots, struct rf_mark *mark, const struct rf_area *area,
                      size_t i) {
  uintptr_t start = area->start;
  for (; i < roots->gaps && roots->gap[i].start < area->end; i++) {
    if (roots->gap[i].end <= start) continue;
    if (roots->gap[i].start > start) rf_mark_between_blocks(mark, start, roots->gap[i].start);
    start = roots->gap[i].end;
  }
  if (start < area->end) rf_mark_between_blocks(mark, start, area->end);
}

/* ---- what Refunc holds of the app's ---- */

#define OWN_STACK 32768 /* of those that slow paths run on */
#define KEPT_PLACES 8

static void *const *kept_place[KEPT_PLACES];
static uint32_t kept_places;

void rf_roots_keep(void *const *place) {
  uint32_t mine = __atomic_fetch_add(&kept_places, 1, __ATOMIC_RELAXED);
  if (mine < KEPT_PLACES) __atomic_store_n(&kept_place[mine], place, __ATOMIC_RELEASE);
}

/* A register of the caller's lies in each record of a call in flight. */
static void mark_records(struct rf_mark *mark, const struct rf_thread *thread) {
  const struct rf_chunk_header *chunk = (const struct rf_chunk_header *)thread->first_chunk;
  for (; chunk; chunk = chunk->next) {
    const struct rf_record *record = (const struct rf_record *)chunk;
    for (size_t i = 1; i < RF_RECORD_CHUNK / sizeof *record; i++)
      if (record[i].position != RF_RECORD_FREE)
        rf_mark_words(mark, (const uintptr_t *)&record[i], sizeof *record / sizeof(uintptr_t));
  }
}

/* A slow path has saved the app's registers on a stack in this library. */
static void mark_own_stack(struct rf_mark *mark, uintptr_t stack) {
  uintptr_t end = (uintptr_t)_end;
  if (in_this_library(stack)) rf_mark_memory(mark, stack, end - stack < OWN_STACK ? end : stack + OWN_STACK);
}

static void mark_held(const struct rf_roots *roots, struct rf_mark *mark) {
  const struct rf_halt *halt = roots->halt;
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    if (thread->tid == halt->caller || !halt->all || halted_of(halt, thread->tid)) mark_records(mark, thread);
  for (size_t i = 0; i < halt->threads; i++) mark_own_stack(mark, halt->thread[i].stack);
  mark_own_stack(mark, roots->here);
  for (size_t i = 0; i < KEPT_PLACES; i++)
    if (kept_place[i]) rf_mark_words(mark, (const uintptr_t *)kept_place[i], 1);
}

/* ---- blocks on the move ---- */

static const struct rf_area *area_at(const struct rf_roots *roots, uintptr_t address) {
  size_t low = 0, high = roots->areas;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (roots->area[middle].end <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low < roots->areas && roots->area[low].start <= address ? &roots->area[low] : NULL;
}

/* If it may be a block of glibc's, it counts as one that is live: realloc copies from it or to it. */
static void mark_chunk(const struct rf_roots *roots, struct rf_mark *mark, uintptr_t block) {
  if (block % HEADER || block < HEADER) return;
  const struct rf_area *area = area_at(roots, block - HEADER);
  if (!area || !area->direct || !(area->arena || area->start == block - HEADER)) return;
  size_t usable = rf_app_usable_size((void *)block);
  if (usable <= area->end - block) rf_mark_memory(mark, block, block + usable);
}

static void mark_chunks(const struct rf_roots *roots, struct rf_mark *mark, const uintptr_t *word,
                        size_t count) {
  for (size_t i = 0; i < count; i++) mark_chunk(roots, mark, word[i]);
}

/* A thread in realloc: the block, or the copy that becomes it, is among what its registers and its innermost
 * frames hold. */
static void mark_moving(const struct rf_roots *roots, struct rf_mark *mark) {
  for (const struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next) {
    const struct rf_halted *halted = thread->heap_moving ? halted_of(roots->halt, thread->tid) : NULL;
    if (!halted || !halted->stands || !rf_app.glibc) continue;
    const struct rf_area *stack = area_at(roots, halted->stack);
    uintptr_t bytes = stack ? stack->end - halted->stack : 0;
    if (bytes > MOVER_STACK) bytes = MOVER_STACK;
    mark_chunk(roots, mark, thread->heap_moving);
    mark_chunks(roots, mark, roots->halt->word + halted->word, halted->words);
    if (stack && stack->direct)
      mark_chunks(roots, mark, (const uintptr_t *)halted->stack, bytes / sizeof(uintptr_t));
  }
}

void rf_roots_mark(struct rf_roots *roots, struct rf_mark *mark) {
  size_t gap = 0;
  rf_mark_words(mark, roots->halt->word, roots->halt->words);
  mark_held(roots, mark);
  if (roots->halt->all) mark_moving(roots, mark);
  for (size_t i = 0; i < roots->areas; i++) {
    const struct rf_area *area = &roots->area[i];
    if (!area->root || (area->arena && roots->heap_known)) continue;
    while (gap < roots->gaps && roots->gap[gap].end <= area->start) gap++;
    mark->headers = area->arena || area->libc;
    mark_area(roots, mark, area, gap);
  }
  mark->headers = false;
}
