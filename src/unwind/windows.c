/*
 * Which memory a walk may read. A thread is on its stack, so the page of its stack pointer is readable; the
 * pages above are asked for one by one (readable.h) and then remembered as a window. The fast path reads
 * inside the window only; old frames are compared only if they lie in the window of the current one, all reads
 * that leave it (after a switch of stacks) bar the frames below them from being joined.
 * rf_unwind_memory_changed() empties windows.
 */
#include "unwind/readable.h"
#include "unwind/walk.h"

#define WINDOW_PAGES_MAX 1024

struct window *rf_walk_window(struct walk *w, uintptr_t address) {
  for (uint32_t i = 0; i < w->window_count; i++)
    if (address >= w->windows[i].start && address < w->windows[i].end) return &w->windows[i];
  return NULL;
}

/* Room for another window; the old stack may lie in the one that goes, which is not the current one. */
static struct window *window_slot(struct walk *w) {
  for (uint32_t i = 0; i < w->window_count; i++)
    if (w->windows[i].end == 0) return &w->windows[i];
  if (w->cache) {
    rf_unwind_forget(w->cache);
    w->candidate = w->cache->capacity;
  }
  struct window *window;
  do window = &w->windows[w->next_window++ % w->window_count];
  while (window == rf_walk_window(w, w->sp));
  return window;
}

/* One window instead of two that touch. */
static void merge(struct walk *w, struct window *window) {
  for (struct window *other = w->windows; other < w->windows + w->window_count; other++) {
    if (other == window || other->end == 0 || other->start > window->end || other->end < window->start)
      continue;
    if (other->start < window->start) window->start = other->start;
    if (other->end > window->end) window->end = other->end;
    *other = (struct window){0, 0};
  }
}

/* Lengthens a window that begins or ends not too far from page, so that it holds it. */
static bool stretch(struct walk *w, struct window *window, uintptr_t page) {
  uintptr_t far = (uintptr_t)WINDOW_PAGES_MAX * RF_PAGE;
  if (window->end == 0) return false;
  while (page >= window->end && page - window->end < far && rf_page_readable(window->end))
    window->end += RF_PAGE;
  while (page < window->start && window->start - page <= far && rf_page_readable(window->start - RF_PAGE))
    window->start -= RF_PAGE;
  if (page < window->start || page >= window->end) return false;
  merge(w, window);
  return true;
}

/* The window that holds address, made if need be; NULL: unreadable. */
static struct window *open_window(struct walk *w, uintptr_t address) {
  uintptr_t page = address & ~(uintptr_t)(RF_PAGE - 1);
  struct window *window = rf_walk_window(w, address);
  if (window) return window;
  if (!rf_page_readable(page)) return NULL;
  for (uint32_t i = 0; i < w->window_count; i++)
    if (stretch(w, &w->windows[i], page)) return &w->windows[i];
  window = window_slot(w);
  *window = (struct window){page, page + RF_PAGE};
  return window;
}

/* Makes the window of the stack pointer the current one. */
bool rf_walk_enter_stack(struct walk *w) {
  struct window *window = open_window(w, w->sp);
  if (!window) return false;
  w->start = window->start;
  w->end = window->end;
  return true;
}

/* Makes the current window reach up to address, if it can. */
void rf_walk_reach(struct walk *w, uintptr_t address) {
  struct window *window = rf_walk_window(w, w->sp);
  if (!window || address < w->start) return;
  if (address >= window->end) stretch(w, window, address & ~(uintptr_t)(RF_PAGE - 1));
  w->start = window->start;
  w->end = window->end;
}

/* Makes sure that a word can be read, outside the current window. */
bool rf_walk_find_word(struct walk *w, uintptr_t address) {
  uintptr_t last = address + sizeof(uintptr_t) - 1;
  const struct window *known = rf_walk_window(w, address);
  if (known && last < known->end && last > address) return true;
  if (last < address || !open_window(w, address) || !open_window(w, last)) return false;
  struct window *current = rf_walk_window(w, w->sp); /* it may have become longer */
  if (current) w->start = current->start, w->end = current->end;
  return true;
}
