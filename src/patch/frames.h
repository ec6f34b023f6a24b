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
  struct rf_frame_place {
    uintptr_t start; /* of a stub, or a landing that leads to one */
    uint32_t entry;  /* its offset in bytes */
  } * table;
  size_t stubs, table_capacity;
  struct {
    const uint8_t *source;
    uint32_t offset;
  } cie; /* the newest */
};

/* A stub; original: what holds for the function, NULL: nothing is known. code: where the code began that the
 * stub's first moved instruction is from. false: it can't be described, and is left out. */
bool rf_frames_add(struct rf_frames *frames, uintptr_t stub, const struct rf_stub_plan *plan, uintptr_t code,
                   const struct rf_frame_code *original);
/* A landing of so many bytes, where what holds at code holds. */
bool rf_frames_add_landing(struct rf_frames *frames, uintptr_t landing, size_t bytes, uintptr_t code,
                           const struct rf_frame_code *original);
/* Whether the code is entered by a call: with nothing on the stack but a return address. Parts of functions
 * that lie elsewhere are not. */
bool rf_frames_begins_as_called(const struct rf_frame_code *original);
/* The region is complete: unwinders find it from now on. */
void rf_frames_publish(struct rf_frames *frames, uintptr_t region, size_t bytes);
/* No code jumps there any more. */
void rf_frames_take_back(uintptr_t region);
/* Landings there are gone with their code. */
void rf_frames_forget(uintptr_t low, uintptr_t high);

/* Makes _dl_find_object know the regions; entry: what leads from its stub to rf_find_object(). The patcher
 * must be open. now: the process does not run yet; else the change is left planned. false: this libc has
 * none, or it can't be patched. */
bool rf_frames_expose(const void *entry, bool now);
