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
#include "patch/edits.h"
#include "patch/frames.h"
#include "patch/host.h"
#include "patch/landing.h"
#include "patch/near.h"
#include "patch/runs.h"
#include "patch/text.h"
#include "patch/turn.h"

#define REGION_BYTES ((size_t)64 << 10)
/* Of one function: its own, and for it and each turned branch a landing's run. */
#define EDITS_MOST ((size_t)128)

struct region {
  char *start;
  uint32_t users;      /* functions whose stubs lie here; UINT32_MAX: it stays */
  size_t used, sealed; /* bytes; below sealed it is executable and no longer written */
  struct rf_frames frames;
  struct region *next;
};

/* By id: what is written at the function itself, how much of it was moved, and where its stub lies; NULL: it
 * is not patched. */
struct place {
  struct rf_edit edit;
  uint16_t window;
  bool goes_on; /* behind what was moved */
  struct region *region;
};

static struct region *regions;
static struct place *places;
static size_t place_count;

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

static void *pages_anywhere(void) {
  long got =
      rf_syscall(SYS_mmap, 0, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return got > 0 ? (void *)got : NULL;
}

/* anywhere: it need not be near, but had better be. */
static struct region *region_for(const struct rf_patch_request *request, bool anywhere) {
  for (struct region *r = regions; r; r = r->next)
    if (!r->sealed && r->used + 2 * RF_STUB_MAX <= REGION_BYTES &&
        (anywhere ||
         (reaches((uintptr_t)r->start, request->low) && reaches((uintptr_t)r->start, request->high))))
      return r;
  struct region *fresh = rf_calloc(1, sizeof *fresh);
  if (!fresh) return NULL;
  fresh->start = rf_near_pages(request->low, request->high, REGION_BYTES);
  if (!fresh->start && anywhere) fresh->start = pages_anywhere();
  if (!fresh->start) {
    rf_free(fresh);
    return NULL;
  }
  fresh->next = regions;
  return regions = fresh;
}

/* One way to patch a function: by a jump of 2 bytes instead of 5; all of it moved; its landing in a host. */
struct form {
  bool brief, whole, hosted;
};

/* What is being planned. */
struct planning {
  const struct rf_patch_request *request;
  struct region *region;
  struct form form;
  uintptr_t stub;
  struct rf_stub_plan plan;
  size_t landing_count;
  struct {
    uintptr_t at, code; /* code: what the landing leads to was moved from there */
  } landings[RF_TURNS_MOST + 1];
};

/* Which forms the branches into the function's beginning leave: those that are known can be turned. */
static bool form_allowed(const struct rf_patch_request *request, struct form form, size_t offset) {
  unsigned taken = form.brief ? RF_SHORT_JUMP_BYTES : RF_JUMP_BYTES;
  unsigned under_jump =
      ((1u << taken) - 1) << offset | 1u; /* its own beginning, and bytes that the jump covers */
  if (request->branches || !(request->entered & under_jump)) return true;
  return form.whole && !(request->entered & RF_ENTERED_ELSEWHERE);
}

static struct rf_stub_request stub_request(const struct planning *p) {
  const struct rf_patch_request *request = p->request;
  return (struct rf_stub_request){.code = (const uint8_t *)request->address,
                                  .size = request->size,
                                  .limit = request->limit,
                                  .id = request->id,
                                  .entry = request->entry,
                                  .countdown = request->countdown,
                                  .thread = (intptr_t)&rf_tls.self - (intptr_t)__builtin_thread_pointer(),
                                  .stub = p->stub};
}

static enum rf_refusal build(struct planning *p) {
  const struct rf_patch_request *request = p->request;
  size_t offset = rf_jump_offset((const uint8_t *)request->address);
  if (!form_allowed(request, p->form, offset)) return RF_REFUSE_BRANCH_BACK;
  size_t bytes = request->size ? request->size : request->limit;
  if (p->form.whole && rf_host_covers(request->address, request->address + bytes))
    return RF_REFUSE_BRANCH_BACK; /* what was moved before comes back to the original */
  bool into_padding = !p->form.brief && request->size < offset + RF_JUMP_BYTES;
  if (into_padding && !rf_landing_free(request->address + offset)) return RF_REFUSE_TOO_SHORT;
  struct rf_stub_request build = stub_request(p);
  build.jump_bytes = p->form.brief ? RF_SHORT_JUMP_BYTES : RF_JUMP_BYTES;
  build.whole = p->form.whole;
  return rf_stub_build(&build, &p->plan);
}

static void note_moved(struct rf_edit *edit, const struct rf_stub_plan *plan) {
  for (size_t i = 1; i < edit->count; i++) edit->moved[i] = plan->moved[i] ? edit->stub + plan->moved[i] : 0;
}

/* Puts a planned stub into the region. */
static bool place_stub(struct region *region, const struct rf_stub_plan *plan) {
  if (region->used + plan->length > REGION_BYTES) return false;
  memcpy(region->start + region->used, plan->bytes, plan->length);
  region->used += (plan->length + 15) & ~(size_t)15;
  return true;
}

static bool frame_of(const struct rf_patch_request *request, uintptr_t address, struct rf_frame_code *code) {
  return request->module && rf_frame_code_find(request->module, address, code);
}

/* ---- landings ---- */

/* In pieces of what one edit holds. A thread that stands on any of the run's instructions goes on at the
 * moved one. */
static void add_run(const struct planning *p, const struct rf_host *host, uintptr_t stub, uintptr_t target,
                    const struct rf_stub_plan *plan) {
  uint8_t bytes[RF_STUB_MAX];
  size_t length = host->end - host->start;
  memset(bytes, RF_TRAP_BYTE, length);
  rf_jump_encode(host->start, stub, bytes);
  rf_jump_encode(host->landing, target, bytes + (host->landing - host->start));
  for (size_t at = 0, i = 0; at < length; at += RF_JUMP_BYTES) {
    size_t count = length - at < RF_JUMP_BYTES ? length - at : RF_JUMP_BYTES;
    struct rf_edit *edit = rf_edit_add(host->start + at, bytes + at, count, stub, p->request->id);
    for (; i + 1 < plan->moves && plan->move[i].from < at + count; i++)
      if (plan->move[i].from) edit->moved[plan->move[i].from - at] = stub + plan->move[i].to;
  }
}

/* A landing in a host, whose run is moved to a stub of its own. */
static uintptr_t place_in_host(struct planning *p, uintptr_t low, uintptr_t high, uintptr_t target) {
  static struct rf_stub_plan plan;
  struct rf_host host;
  struct rf_frame_code frame;
  uintptr_t stub = (uintptr_t)p->region->start + p->region->used;
  if (!rf_host_find(p->request, low, high, &host) || !frame_of(p->request, host.start, &frame)) return 0;
  struct rf_stub_request build = {.code = (const uint8_t *)host.start,
                                  .limit = host.end - host.start,
                                  .stub = stub,
                                  .jump_bytes = host.end - host.start,
                                  .bare = true};
  if (rf_stub_build(&build, &plan) != RF_PATCH_OK || !place_stub(p->region, &plan) ||
      !rf_frames_add(&p->region->frames, stub, &plan, host.start, &frame))
    return 0;
  add_run(p, &host, stub, target, &plan);
  rf_host_take(host.start, host.end, plan.goes_on);
  return host.landing;
}

static uintptr_t place_in_padding(struct planning *p, uintptr_t low, uintptr_t high, uintptr_t target) {
  uintptr_t landing = rf_landing_find(p->request, low, high);
  if (!landing) return 0;
  rf_landing_take(landing);
  rf_edit_add_jump(landing, target, p->stub, p->request->id);
  return landing;
}

static uintptr_t place_landing(struct planning *p, uintptr_t low, uintptr_t high, uintptr_t target,
                               uintptr_t code) {
  uintptr_t at =
      p->form.hosted ? place_in_host(p, low, high, target) : place_in_padding(p, low, high, target);
  if (!at) return 0;
  p->landings[p->landing_count].at = at;
  p->landings[p->landing_count++].code = code;
  return at;
}

static void describe_landings(struct planning *p) {
  struct rf_frame_code frame;
  for (size_t i = 0; i < p->landing_count; i++) {
    uintptr_t code = p->landings[i].code;
    bool known = frame_of(p->request, code, &frame);
    if (known || code == p->request->address)
      rf_frames_add_landing(&p->region->frames, p->landings[i].at, RF_JUMP_BYTES, code,
                            known ? &frame : NULL);
  }
}

/* For a turned branch: wherever there is room. */
static uintptr_t place_turned(void *user, uintptr_t low, uintptr_t high, uintptr_t target, uintptr_t code) {
  struct planning *p = user;
  bool hosted = p->form.hosted;
  uintptr_t landing = 0;
  for (int i = 0; i < 2 && !landing; i++) {
    p->form.hosted = i;
    landing = place_landing(p, low, high, target, code);
  }
  p->form.hosted = hosted;
  return landing;
}

/* ---- what is written ---- */

static bool turn_branches(struct planning *p) {
  struct rf_turn turn = {.request = p->request,
                         .plan = &p->plan,
                         .stub = p->stub,
                         .jump_bytes = p->form.brief ? RF_SHORT_JUMP_BYTES : RF_JUMP_BYTES,
                         .whole = p->form.whole,
                         .place = place_turned,
                         .user = p};
  return !p->request->branches || rf_turn_branches(&turn);
}

/* The function's own bytes: the last of its edits. */
static bool add_own(struct planning *p) {
  const struct rf_patch_request *request = p->request;
  uintptr_t address = request->address + p->plan.jump_offset;
  uint8_t brief[RF_SHORT_JUMP_BYTES];
  if (!p->form.brief) {
    note_moved(rf_edit_add_jump(address, p->stub, p->stub, request->id), &p->plan);
    if (request->size < p->plan.jump_offset + RF_JUMP_BYTES) rf_landing_take(address);
    return true;
  }
  uintptr_t landing = place_landing(p, address - RF_SHORT_JUMP_REACH, address + RF_SHORT_JUMP_REACH, p->stub,
                                    request->address);
  if (!landing) return false;
  rf_short_jump_encode(address, landing, brief);
  note_moved(rf_edit_add(address, brief, sizeof brief, p->stub, request->id), &p->plan);
  return true;
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

static void note_place(const struct planning *p) {
  const struct rf_patch_request *request = p->request;
  struct region *region = p->region;
  if (request->anonymous) {
    uintptr_t first = request->address + p->plan.jump_offset;
    region->users = UINT32_MAX;
    rf_host_take(first, first + p->plan.window_bytes, p->plan.goes_on);
    return;
  }
  places[request->id] = (struct place){rf_edits()[rf_edits_count() - 1], (uint16_t)p->plan.window_bytes,
                                       p->plan.goes_on, region};
  if (region->users != UINT32_MAX) region->users++;
}

size_t rf_patch_windows(uintptr_t start, uintptr_t end, struct rf_patch_window *windows, size_t most) {
  size_t count = 0;
  for (size_t id = 0; id < place_count && count < most; id++) {
    const struct place *place = &places[id];
    uintptr_t first = place->edit.address, behind = first + place->window;
    if (place->region && start < behind && first < end)
      windows[count++] = (struct rf_patch_window){first, behind, place->goes_on};
  }
  return count;
}

void rf_patch_visit_stubs(void (*visit)(void *user, uintptr_t start, uintptr_t end), void *user) {
  for (const struct region *r = regions; r; r = r->next)
    if (r->used) visit(user, (uintptr_t)r->start, (uintptr_t)r->start + r->used);
}

bool rf_patch_is_stub(uintptr_t address) {
  for (const struct region *r = regions; r; r = r->next)
    if (address - (uintptr_t)r->start < r->used) return true;
  return false;
}

/* All of one form, or nothing of it but what of the region it used up. */
static enum rf_refusal try_form(struct planning *p, struct form form) {
  struct rf_frame_code frame;
  size_t edits = rf_edits_count(), landings = rf_landings(), hosts = rf_hosts();
  p->form = form;
  p->landing_count = 0;
  p->stub = (uintptr_t)p->region->start + p->region->used;
  enum rf_refusal refusal = build(p);
  if (refusal != RF_PATCH_OK) return refusal;
  uintptr_t first = p->request->address + p->plan.jump_offset;
  if (rf_host_planned(first, first + p->plan.window_bytes)) return RF_REFUSE_BRANCH_BACK;
  if (!place_stub(p->region, &p->plan)) return RF_REFUSE_OUT_OF_REACH;
  bool turned = turn_branches(p);
  if (turned && add_own(p)) {
    bool known = frame_of(p->request, p->request->address, &frame);
    rf_frames_add(&p->region->frames, p->stub, &p->plan, p->request->address, known ? &frame : NULL);
    describe_landings(p);
    if (p->request->quiet) rf_edits_quieten(edits);
    return RF_PATCH_OK;
  }
  rf_edits_drop(edits);
  rf_landings_drop(landings);
  rf_hosts_drop(hosts);
  return turned ? RF_REFUSE_TOO_SHORT : RF_REFUSE_BRANCH_BACK;
}

static bool is_scarce(enum rf_refusal refusal) {
  return refusal == RF_REFUSE_TOO_SHORT || refusal == RF_REFUSE_BRANCH_BACK ||
         refusal == RF_REFUSE_CALL_INSIDE;
}

static bool is_of_its_code(enum rf_refusal refusal) {
  return is_scarce(refusal) || refusal == RF_REFUSE_OUT_OF_REACH || refusal == RF_REFUSE_UNMOVABLE ||
         refusal == RF_REFUSE_SHADOW_STACK;
}

/* Of a function, by its frame information. */
static bool is_part(const struct rf_patch_request *request) {
  struct rf_frame_code frame;
  return frame_of(request, request->address, &frame) && frame.begin == request->address &&
         !rf_frames_begins_as_called(&frame);
}

const char *rf_patch_add(const struct rf_patch_request *request, struct rf_patched *patched) {
  static const struct form forms[] = {{false, false, false}, {true, false, false}, {true, false, true},
                                      {false, true, false},  {true, true, false},  {true, true, true}};
  static struct planning p; /* too large for a small stack; one planner at a time */
  p.request = request, p.region = region_for(request, false);
  *patched = (struct rf_patched){.by_slots = !request->anonymous};
  if (!p.region) return rf_refusal_text(RF_REFUSE_OUT_OF_REACH);
  if (is_part(request)) return "it is not entered by a call";
  if (!rf_edits_reserve(EDITS_MOST) || !room_for_place(request)) return "no memory";
  enum rf_refusal refusal, first = RF_PATCH_OK;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (forms[i].hosted && !request->branches) continue;
    refusal = try_form(&p, forms[i]);
    if (i == 0) first = refusal;
    if (refusal != RF_PATCH_OK) continue;
    note_place(&p);
    patched->body = p.stub + p.plan.body_offset;
    return NULL;
  }
  patched->scarce = is_scarce(first) && !request->branches && !request->anonymous;
  patched->by_slots &= is_of_its_code(first);
  return rf_refusal_text(first);
}

const char *rf_patch_add_through(const struct rf_patch_request *request, struct rf_patched *patched) {
  static struct planning p; /* as above */
  p.request = request, p.region = region_for(request, true);
  *patched = (struct rf_patched){0};
  if (!p.region || !room_for_place(request)) return "no memory";
  struct rf_stub_request build = stub_request(&p);
  build.stub = (uintptr_t)p.region->start + p.region->used;
  build.through = true;
  enum rf_refusal refusal = rf_stub_build(&build, &p.plan);
  if (refusal != RF_PATCH_OK) return rf_refusal_text(refusal);
  if (!place_stub(p.region, &p.plan)) return "no memory";
  rf_frames_add(&p.region->frames, build.stub, &p.plan, request->address, NULL);
  places[request->id] = (struct place){.region = p.region};
  if (p.region->users != UINT32_MAX) p.region->users++;
  *patched = (struct rf_patched){.body = request->address, .stub = build.stub};
  return NULL;
}

/* Only plans that came to nothing lie there. */
static void discard(struct region *region) {
  region->used = region->frames.count = region->frames.stubs = 0;
  region->frames.cie.source = NULL;
}

static bool seal(struct region *region) {
  if (!region->sealed && !region->users) discard(region);
  if (region->sealed || !region->used) return true; /* an empty one stays writable for the next round */
  region->sealed = region->used;
  rf_frames_publish(&region->frames, (uintptr_t)region->start, region->used);
  return rf_text_seal(region->start, REGION_BYTES) == 0;
}

bool rf_patch_is_ready(uintptr_t stub) {
  for (struct region *r = regions; r; r = r->next)
    if (stub - (uintptr_t)r->start < r->sealed) return true;
  return false;
}

/* false: some stubs could not be made executable. */
static bool seal_all(void) {
  bool all = true;
  for (struct region *r = regions; r; r = r->next)
    if (!seal(r)) r->sealed = 0, all = false;
  return all;
}

static bool write_one(const struct rf_edit *edit) {
  return rf_patch_is_ready(edit->stub) && rf_text_write((void *)edit->address, edit->bytes, edit->count) == 0;
}

size_t rf_patch_commit(void (*failed)(void *user, uint32_t id, const char *reason), void *user) {
  size_t failures = 0, count = rf_edits_count(), written;
  const struct rf_edit *edits = rf_edits();
  void *room = seal_all() && count > 1 ? rf_malloc(RF_RUN_BYTES) : NULL;
  for (size_t i = 0; i < count; i += written) {
    written = rf_run_write(edits + i, count - i, room);
    if (written) continue;
    written = 1;
    if (write_one(&edits[i])) continue;
    failures++;
    failed(user, edits[i].id, "the kernel refuses to change its code");
  }
  rf_free(room);
  rf_edits_drop(0);
  rf_host_settle();
  return failures;
}

/* ---- a process that runs ---- */

static struct place *place_of(uint32_t id) {
  return id < place_count && places[id].region ? &places[id] : NULL;
}

void rf_patch_repeat(uint32_t id) {
  struct place *place = place_of(id);
  if (place && place->edit.count && rf_edits_reserve(1)) rf_edit_add_again(&place->edit);
}

/* The jump is one instruction, so nobody stands inside it. What else was changed for it (landings, branches
 * that were turned) serves its moved instructions and stays. */
void rf_patch_restore(uint32_t id) {
  struct place *place = place_of(id);
  if (!place || !place->edit.count || !rf_edits_reserve(1)) return;
  struct rf_edit edit = place->edit;
  memcpy(edit.bytes, place->edit.original, sizeof edit.bytes);
  memcpy(edit.original, place->edit.bytes, sizeof edit.original);
  memset(edit.moved, 0, sizeof edit.moved);
  rf_edit_add_again(&edit);
}

const struct rf_change_edit *rf_patch_export(size_t *count) {
  (void)seal_all();
  rf_host_settle();
  return rf_edits_export(count);
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

void rf_patch_forget_code(uintptr_t low, uintptr_t high) {
  rf_landing_forget(low, high);
  rf_host_forget(low, high);
  rf_frames_forget(low, high);
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
  if (rf_text_seal(stub, 4096) != 0) return false;
  rf_jump_encode(address + start, (uintptr_t)stub, jump);
  rf_text_open();
  int failed = rf_text_write((void *)(address + start), jump, sizeof jump);
  rf_text_close();
  return !failed;
}
