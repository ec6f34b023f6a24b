/*
 * Call frame information of stubs. A signal may come while a thread runs in a stub, and its handler may
 * unwind; so each region of stubs gets an .eh_frame of its own, and the dynamic loader's _dl_find_object,
 * which unwinders ask what an address belongs to, is taught to name it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_frame_code;
struct rf_stub_plan;

/* Of one region, while its stubs are planned. */
struct rf_frames {
  uint8_t *bytes; /* .eh_frame */
  size_t count, capacity;
  uint32_t *table; /* of each stub: its offset in the region, its entry's offset in bytes */
  size_t stubs, table_capacity;
  struct {
    const uint8_t *source;
    uint32_t offset;
  } cie; /* the newest */
};

/* A stub at an offset of the region that starts at region; original: what holds for the function, NULL:
 * nothing is known. Stubs come in ascending order. One that can't be described is left out. */
void rf_frames_add(struct rf_frames *frames, uintptr_t region, size_t offset, const struct rf_stub_plan *plan,
                   uintptr_t function, const struct rf_frame_code *original);
/* The region is complete: unwinders find it from now on. */
void rf_frames_publish(struct rf_frames *frames, uintptr_t region, size_t bytes);
/* No code jumps there any more. */
void rf_frames_take_back(uintptr_t region);

/* Makes _dl_find_object know the regions; entry: what leads from its stub to rf_find_object(). The patcher
 * must be open. now: the process does not run yet; else the change is left planned. false: this libc has
 * none, or it can't be patched. */
bool rf_frames_expose(const void *entry, bool now);
