/* See patch.h. Stubs are packed into regions of 64 KB near each module; a region serves every module that reaches it. */
#include "patch/patch.h"

#include <string.h>
#include <sys/mman.h>

#include "arch/arch.h"
#include "arch/stub.h"
#include "base/memory.h"
#include "patch/near.h"
#include "patch/text.h"

#define REGION_BYTES ((size_t)64 << 10)

struct region {
  char *start;
  size_t used, sealed; /* bytes; below sealed it is executable and no longer written */
  struct region *next;
};

struct jump {
  uintptr_t address;
  uint32_t id;
  uint8_t bytes[RF_JUMP_BYTES];
};

static struct region *regions;
static struct jump *jumps;
static size_t jump_count, jump_capacity;

const char *rf_patch_open(void) {
  const char *problem = rf_decoder_open();
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

static bool room_for_jump(void) {
  if (jump_count < jump_capacity) return true;
  size_t capacity = jump_capacity ? jump_capacity * 2 : 256;
  struct jump *grown = rf_realloc(jumps, capacity * sizeof *grown);
  if (!grown) return false;
  jumps = grown;
  jump_capacity = capacity;
  return true;
}

const char *rf_patch_add(const struct rf_patch_request *request, uintptr_t *body) {
  struct region *region = region_for(request);
  if (!region) return rf_refusal_text(RF_REFUSE_OUT_OF_REACH);
  if (!room_for_jump()) return "no memory";
  struct rf_stub_plan plan;
  uintptr_t stub = (uintptr_t)region->start + region->used;
  enum rf_refusal refusal = rf_stub_build((const uint8_t *)request->address, request->size, request->limit, request->id,
                                          request->entry, stub, &plan);
  if (refusal != RF_PATCH_OK) return rf_refusal_text(refusal);
  memcpy((void *)stub, plan.bytes, plan.length);
  region->used += (plan.length + 15) & ~(size_t)15;
  struct jump *jump = &jumps[jump_count++];
  *jump = (struct jump){.address = request->address + plan.jump_offset, .id = request->id};
  rf_jump_encode(jump->address, stub, jump->bytes);
  *body = stub + RF_STUB_BODY;
  return NULL;
}

static bool seal(struct region *region) {
  if (region->sealed) return true;
  region->sealed = region->used;
  return rf_syscall(SYS_mprotect, region->start, REGION_BYTES, PROT_READ | PROT_EXEC) == 0;
}

static bool in_sealed(uintptr_t stub) {
  for (struct region *r = regions; r; r = r->next)
    if (stub - (uintptr_t)r->start < r->sealed) return true;
  return false;
}

static uintptr_t stub_of(const struct jump *jump) {
  int32_t distance;
  memcpy(&distance, jump->bytes + 1, sizeof distance);
  return jump->address + RF_JUMP_BYTES + (uintptr_t)(intptr_t)distance;
}

size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user) {
  size_t failures = 0;
  for (struct region *r = regions; r; r = r->next)
    if (!seal(r)) r->sealed = 0;
  for (size_t i = 0; i < jump_count; i++) {
    struct jump *jump = &jumps[i];
    if (in_sealed(stub_of(jump)) && rf_text_write((void *)jump->address, jump->bytes, RF_JUMP_BYTES) == 0) continue;
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
