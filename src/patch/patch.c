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
  uint8_t bytes[RF_JUMP_BYTES];
};

static struct region *regions;
static struct jump *jumps;
static size_t jump_count, jump_capacity;

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

static void plan_jumps(const struct rf_patch_request *request, struct form form, uintptr_t stub,
                       uintptr_t landing, const struct rf_stub_plan *plan) {
  uintptr_t address = request->address + plan->jump_offset;
  if (!form.brief) {
    add_jump(address, stub, request->id);
    if (request->size < plan->jump_offset + RF_JUMP_BYTES) rf_landing_take(address);
    return;
  }
  rf_landing_take(landing);
  add_jump(landing, stub, request->id); /* first, so that it is there when the short one is */
  struct jump *jump = add_jump(address, stub, request->id);
  jump->count = RF_SHORT_JUMP_BYTES;
  rf_short_jump_encode(address, landing, jump->bytes);
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
  if (!room_for_jumps()) return "no memory";
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

size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user) {
  size_t failures = 0;
  for (struct region *r = regions; r; r = r->next)
    if (!seal(r)) r->sealed = 0;
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
