/* See patch.h. Stubs are packed into regions of 64 KB near each module; a region serves every module that
 * reaches it. */
#include "patch/patch.h"

#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "arch/stub.h"
#include "base/memory.h"
#include "base/thread.h"
#include "elf/frame_code.h"
#include "patch/frames.h"
#include "patch/landing.h"
#include "patch/near.h"
#include "patch/text.h"

#define REGION_BYTES ((size_t)64 << 10)

struct region {
  char *start;
  uint32_t users;      /* functions whose stubs lie here; UINT32_MAX: it stays */
  size_t used, sealed; /* bytes; below sealed it is executable and no longer written */
  struct rf_frames frames;
  struct region *next;
};

/* What is written at the function: a long jump to the stub, or a short one to a landing that holds the long
 * one. */
struct jump {
  uintptr_t address, stub;
  uint32_t id;
  uint8_t count;
  uint8_t bytes[RF_JUMP_BYTES], original[RF_JUMP_BYTES];
  uintptr_t moved[RF_JUMP_BYTES]; /* see base/change.h */
};

/* By id: what is written at the function itself, and where its stub lies; NULL: it is not patched. */
struct place {
  struct jump jump;
  struct region *region;
};

static struct region *regions;
static struct jump *jumps;
static size_t jump_count, jump_capacity;
static struct place *places;
static size_t place_count;
static struct rf_change_edit *exported;

const char *rf_patch_open(void) {
  rf_internal_enter(); /* the loader may allocate for what it opens */
  const char *problem = rf_decoder_open();
  rf_internal_leave();
  if (problem) return problem;
  return rf_text_open() ? NULL : "this kernel lets no process change its own code";
}

void rf_patch_close(void) { rf_text_close(); }

static bool reaches(uintptr_t from, uintptr_t to) {
  intptr_t distance = (intptr_t)(to - from);
  return distance > -(intptr_t)0x60000000 && distance < (intptr_t)0x60000000;
}

static struct region *region_for(const struct rf_patch_request *request) {
  for (struct region *r = regions; r; r = r->next)
    if (!r->sealed && r->used + RF_STUB_MAX <= REGION_BYTES && reaches((uintptr_t)r->start, request->low) &&
        reaches((uintptr_t)r->start, request->high))
      return r;
  struct region *fresh = rf_calloc(1, sizeof *fresh);
  if (!fresh) return NULL;
  fresh->start = rf_near_pages(request->low, request->high, REGION_BYTES);
  if (!fresh->start) {
    rf_free(fresh);
    return NULL;
  }
  fresh->next = regions;
  return regions = fresh;
}

static bool room_for_jumps(void) {
  if (jump_count + 2 <= jump_capacity) return true;
  size_t capacity = jump_capacity ? jump_capacity * 2 : 256;
  struct jump *grown = rf_realloc(jumps, capacity * sizeof *grown);
  if (!grown) return false;
  jumps = grown;
  jump_capacity = capacity;
  return true;
}

static struct jump *add_jump(uintptr_t address, uintptr_t stub, uint32_t id) {
  struct jump *jump = &jumps[jump_count++];
  *jump = (struct jump){.address = address, .stub = stub, .id = id, .count = RF_JUMP_BYTES};
  memcpy(jump->original, (const void *)address, sizeof jump->original);
  rf_jump_encode(address, stub, jump->bytes);
  return jump;
}

/* One way to patch a function. */
struct form {
  bool brief, whole;
};

/* Which forms the branches into the function's beginning leave. */
static bool form_allowed(struct form form, uint16_t entered, size_t offset) {
  unsigned taken = form.brief ? RF_SHORT_JUMP_BYTES : RF_JUMP_BYTES;
  unsigned under_jump =
      ((1u << taken) - 1) << offset | 1u; /* its own beginning, and bytes that the jump covers */
  return !(entered & under_jump) || form.whole;
}

static enum rf_refusal try_form(const struct rf_patch_request *request, struct form form, uintptr_t stub,
                                uintptr_t landing, struct rf_stub_plan *plan) {
  size_t offset = rf_jump_offset((const uint8_t *)request->address);
  if (!form_allowed(form, request->entered, offset)) return RF_REFUSE_BRANCH_BACK;
  bool into_padding = !form.brief && request->size < offset + RF_JUMP_BYTES;
  if (form.brief && !landing) return RF_REFUSE_TOO_SHORT;
  if (into_padding && !rf_landing_free(request->address + offset)) return RF_REFUSE_TOO_SHORT;
  struct rf_stub_request build = {.code = (const uint8_t *)request->address,
                                  .size = request->size,
                                  .limit = request->limit,
                                  .id = request->id,
                                  .entry = request->entry,
                                  .countdown = request->countdown,
                                  .thread = (intptr_t)&rf_tls.self - (intptr_t)__builtin_thread_pointer(),
                                  .stub = stub,
                                  .jump_bytes = form.brief ? RF_SHORT_JUMP_BYTES : RF_JUMP_BYTES,
                                  .whole = form.whole};
  return rf_stub_build(&build, plan);
}

static void note_moved(struct jump *jump, const struct rf_stub_plan *plan) {
  for (size_t i = 1; i < jump->count; i++) jump->moved[i] = plan->moved[i] ? jump->stub + plan->moved[i] : 0;
}

/* What a function's own bytes become, the last jump in the queue. */
static void plan_jumps(const struct rf_patch_request *request, struct form form, uintptr_t stub,
                       uintptr_t landing, const struct rf_stub_plan *plan) {
  uintptr_t address = request->address + plan->jump_offset;
  if (!form.brief) {
    note_moved(add_jump(address, stub, request->id), plan);
    if (request->size < plan->jump_offset + RF_JUMP_BYTES) rf_landing_take(address);
    return;
  }
  rf_landing_take(landing);
  add_jump(landing, stub, request->id); /* first, so that it is there when the short one is */
  struct jump *jump = add_jump(address, stub, request->id);
  jump->count = RF_SHORT_JUMP_BYTES;
  rf_short_jump_encode(address, landing, jump->bytes);
  note_moved(jump, plan);
}

static bool room_for_place(const struct rf_patch_request *request) {
  if (request->anonymous || request->id < place_count) return true;
  size_t count = place_count ? place_count * 2 : 256;
  while (count <= request->id) count *= 2;
  struct place *grown = rf_realloc(places, count * sizeof *grown);
  if (!grown) return false;
  memset(grown + place_count, 0, (count - place_count) * sizeof *grown);
  places = grown;
  place_count = count;
  return true;
}

static void note_place(const struct rf_patch_request *request, struct region *region) {
  if (request->anonymous) {
    region->users = UINT32_MAX;
    return;
  }
  places[request->id] = (struct place){jumps[jump_count - 1], region};
  if (region->users != UINT32_MAX) region->users++;
}

static void describe(struct region *region, const struct rf_patch_request *request,
                     const struct rf_stub_plan *plan) {
  struct rf_frame_code code;
  bool known = request->module && rf_frame_code_find(request->module, request->address, &code);
  rf_frames_add(&region->frames, (uintptr_t)region->start, region->used, plan, request->address,
                known ? &code : NULL);
}

const char *rf_patch_add(const struct rf_patch_request *request, uintptr_t *body) {
  static const struct form forms[] = {{false, false}, {true, false}, {false, true}, {true, true}};
  static struct rf_stub_plan plan; /* too large for a small stack; one planner at a time */
  struct region *region = region_for(request);
  if (!region) return rf_refusal_text(RF_REFUSE_OUT_OF_REACH);
  if (!room_for_jumps() || !room_for_place(request)) return "no memory";
  uintptr_t stub = (uintptr_t)region->start + region->used, landing = 0;
  enum rf_refusal refusal = RF_PATCH_OK, first = RF_PATCH_OK;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (forms[i].brief && !landing) landing = rf_landing_find(request);
    refusal = try_form(request, forms[i], stub, landing, &plan);
    if (i == 0) first = refusal;
    if (refusal != RF_PATCH_OK) continue;
    memcpy((void *)stub, plan.bytes, plan.length);
    describe(region, request, &plan);
    region->used += (plan.length + 15) & ~(size_t)15;
    plan_jumps(request, forms[i], stub, landing, &plan);
    note_place(request, region);
    *body = stub + plan.body_offset;
    return NULL;
  }
  return rf_refusal_text(first);
}

static bool seal(struct region *region) {
  if (region->sealed || !region->used) return true; /* an empty one stays writable for the next round */
  region->sealed = region->used;
  rf_frames_publish(&region->frames, (uintptr_t)region->start, region->used);
  return rf_syscall(SYS_mprotect, region->start, REGION_BYTES, PROT_READ | PROT_EXEC) == 0;
}

static bool in_sealed(uintptr_t stub) {
  for (struct region *r = regions; r; r = r->next)
    if (stub - (uintptr_t)r->start < r->sealed) return true;
  return false;
}

static void seal_all(void) {
  for (struct region *r = regions; r; r = r->next)
    if (!seal(r)) r->sealed = 0;
}

size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user) {
  size_t failures = 0;
  seal_all();
  for (size_t i = 0; i < jump_count; i++) {
    struct jump *jump = &jumps[i];
    if (in_sealed(jump->stub) && rf_text_write((void *)jump->address, jump->bytes, jump->count) == 0)
      continue;
    failures++;
    failed(user, jump->id, "the kernel refuses to change its code");
  }
  jump_count = 0;
  return failures;
}

/* ---- a process that runs ---- */

static struct place *place_of(uint32_t id) {
  return id < place_count && places[id].region ? &places[id] : NULL;
}

void rf_patch_repeat(uint32_t id) {
  struct place *place = place_of(id);
  if (place && room_for_jumps()) jumps[jump_count++] = place->jump;
}

/* The jump is one instruction, so nobody stands inside it. */
void rf_patch_restore(uint32_t id) {
  struct place *place = place_of(id);
  if (!place || !room_for_jumps()) return;
  struct jump *jump = &jumps[jump_count++];
  *jump = place->jump;
  memcpy(jump->bytes, place->jump.original, sizeof jump->bytes);
  memcpy(jump->original, place->jump.bytes, sizeof jump->original);
  memset(jump->moved, 0, sizeof jump->moved);
}

const struct rf_change_edit *rf_patch_export(size_t *count) {
  seal_all();
  rf_free(exported);
  exported = rf_calloc(jump_count ? jump_count : 1, sizeof *exported);
  *count = exported ? jump_count : 0;
  for (size_t i = 0; i < *count; i++) {
    struct rf_change_edit *edit = &exported[i];
    edit->address = jumps[i].address;
    edit->count = jumps[i].count;
    memcpy(edit->before, jumps[i].original, sizeof edit->before);
    memcpy(edit->after, jumps[i].bytes, sizeof edit->after);
    for (size_t k = 0; k < RF_CHANGE_JUMP; k++) edit->moved[k] = jumps[i].moved[k];
  }
  jump_count = 0;
  return exported;
}

/* ---- code that is gone ---- */

/* For the next library: writable again, until it is sealed again. */
static void empty(struct region *region) {
  if (rf_syscall(SYS_mprotect, region->start, REGION_BYTES, PROT_READ | PROT_WRITE) != 0) return;
  rf_frames_take_back((uintptr_t)region->start);
  region->used = region->sealed = 0;
}

void rf_patch_forget(uint32_t id) {
  struct place *place = place_of(id);
  if (!place) return;
  struct region *region = place->region;
  place->region = NULL;
  if (region->users != UINT32_MAX && --region->users == 0 && region->sealed) empty(region);
}

void rf_patch_forget_code(uintptr_t low, uintptr_t high) { rf_landing_forget(low, high); }

/* Functions start at multiples of 16 bytes: what lies behind the return up to the next one is padding. */
static size_t empty_function(const uint8_t *code) {
  size_t start = memcmp(code, "\xf3\x0f\x1e\xfa", 4) ? 0 : 4;
  bool room = (uintptr_t)code % 16 == 0 && start + RF_JUMP_BYTES <= 16;
  bool returns = code[start] == 0xc3 || (code[start] == 0xf3 && code[start + 1] == 0xc3);
  return room && returns ? start : SIZE_MAX;
}

bool rf_patch_notifier(uintptr_t address, const void *entry) {
  size_t start = empty_function((const uint8_t *)address);
  if (start == SIZE_MAX) return false;
  uint8_t *stub = rf_near_pages(address, address + 16, 4096), jump[RF_JUMP_BYTES];
  if (!stub) return false;
  rf_stub_head(stub, 0, entry);
  if (rf_syscall(SYS_mprotect, stub, 4096, PROT_READ | PROT_EXEC) != 0) return false;
  rf_jump_encode(address + start, (uintptr_t)stub, jump);
  rf_text_open();
  int failed = rf_text_write((void *)(address + start), jump, sizeof jump);
  rf_text_close();
  return !failed;
}
