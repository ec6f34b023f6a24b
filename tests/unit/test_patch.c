/*
 * What the patcher finds out about code before it changes any: branches by their bytes, where room can be
 * made for a landing, and what moved instructions become. The code is written by hand, so that every address
 * is known; hosts are functions of this program.
 */
#include <criterion/criterion.h>
#include <link.h>
#include <string.h>
#include <sys/auxv.h>

#include "arch/stub.h"
#include "patch/branches.h"
#include "patch/host.h"
#include "patch/landing.h"
#include "patch/patch.h"
#include "patch/spots.h"

static void open_decoder(void) { cr_assert_null(rf_decoder_open()); }

TestSuite(patch, .init = open_decoder);

/* ---- branches ---- */

/* A function of 0x18 bytes that branches into its second instruction three times, calls 0x40, and has the
 * bytes of a fourth branch inside a constant. */
static const uint8_t branching[80] __attribute__((aligned(16))) = {
    [0x00] = 0x53,                         /* push rbx */
    [0x01] = 0x8d, 0x5f, 0x03,             /* lea ebx, [rdi+3] */
    [0x04] = 0xe8, 0x37, 0x00, 0x00, 0x00, /* call 0x40 */
    [0x09] = 0x72, 0xf6,                   /* jb 1 */
    [0x0b] = 0xe9, 0xf1, 0xff, 0xff, 0xff, /* jmp 1 */
    [0x10] = 0xe2, 0xef,                   /* loop 1 */
    [0x12] = 0xb8, 0xeb, 0xec, 0x00, 0x00, /* mov eax, ...: reads like jmp 1 from its second byte */
    [0x17] = 0xc3,
};

static struct rf_branch_list list_of(const uint8_t *code, size_t bytes, const struct rf_extent *functions,
                                     size_t count, uintptr_t area, size_t area_bytes) {
  struct rf_segment segment = {(uintptr_t)code, (uintptr_t)code + bytes};
  struct rf_branch_query query = {.text_start = segment.start,
                                  .text_end = segment.end,
                                  .segments = &segment,
                                  .segment_count = 1,
                                  .functions = functions,
                                  .function_count = count};
  struct rf_extent where = {area, area_bytes};
  struct rf_branch_list list;
  cr_assert(rf_branches_list(&query, &where, 1, &list));
  return list;
}

Test(patch, branches_are_listed_with_their_places) {
  uintptr_t start = (uintptr_t)branching;
  struct rf_extent function = {start, 0x18};
  struct rf_branch_list list = list_of(branching, sizeof branching, &function, 1, start + 1, 1);
  static const struct rf_branch expected[] = {
      {0x09, 1, 2, 1, 1, RF_FLOW_BRANCH}, {0x0b, 1, 5, 1, 4, RF_FLOW_JUMP}, {0x10, 1, 2, 1, 1, RF_FLOW_LOOP}};
  cr_assert_eq(list.count, 3, "%zu branches", list.count);
  for (size_t i = 0; i < 3; i++) {
    const struct rf_branch *want = &expected[i];
    bool found = false;
    for (size_t k = 0; k < 3; k++) {
      const struct rf_branch *b = &list.branches[k];
      found |= b->from == start + want->from && b->to == start + want->to && b->length == want->length &&
               b->operand == want->operand && b->operand_bytes == want->operand_bytes &&
               b->flow == want->flow;
    }
    cr_expect(found, "the branch at %#lx", (unsigned long)want->from);
  }
  rf_branch_list_free(&list);
}

Test(patch, calls_are_listed_where_no_function_begins) {
  uintptr_t start = (uintptr_t)branching;
  struct rf_extent functions[] = {{start, 0x18}, {start + 0x40, 16}};
  struct rf_branch_list list = list_of(branching, sizeof branching, functions, 1, start + 0x40, 1);
  cr_assert_eq(list.count, 1);
  cr_expect_eq(list.branches[0].from, start + 4);
  cr_expect_eq(list.branches[0].flow, RF_FLOW_CALL);
  rf_branch_list_free(&list);
  list = list_of(branching, sizeof branching, functions, 2, start + 0x40, 1);
  cr_expect_eq(list.count, 0, "a call of a known function's beginning is no branch into it");
  rf_branch_list_free(&list);
}

Test(patch, branches_from_elsewhere_are_marked) {
  uintptr_t start = (uintptr_t)branching;
  struct rf_segment segment = {start, start + sizeof branching};
  struct rf_extent whole = {start, 0x18}, halves[] = {{start, 9}, {start + 9, 0x0f}};
  struct rf_branch_query query = {.text_start = start,
                                  .text_end = segment.end,
                                  .segments = &segment,
                                  .segment_count = 1,
                                  .functions = &whole,
                                  .function_count = 1,
                                  .starts = &start,
                                  .start_count = 1};
  uint16_t entered = 0;
  cr_assert(rf_branches_find(&query, &entered));
  cr_expect_eq(entered, 1u << 1, "%#x", entered);
  query.functions = halves, query.function_count = 2, entered = 0;
  cr_assert(rf_branches_find(&query, &entered));
  cr_expect_eq(entered, 1u << 1 | RF_ENTERED_ELSEWHERE, "%#x", entered);
}

Test(patch, distances_that_do_not_fit_are_refused) {
  uint8_t distance[4];
  cr_expect(rf_distance_encode(1000, 1127, 1, distance) && distance[0] == 127);
  cr_expect(rf_distance_encode(1000, 872, 1, distance) && distance[0] == 128);
  cr_expect_not(rf_distance_encode(1000, 1128, 1, distance));
  cr_expect_not(rf_distance_encode(1000, 871, 1, distance));
  cr_expect(rf_distance_encode(0x80000000u, 1, 4, distance));
  cr_expect_not(rf_distance_encode(0x80000001u, 0, 4, distance));
}

/* ---- what is moved ---- */

Test(patch, bare_stubs_hold_the_moved_instructions_and_a_jump_back) {
  static const uint8_t code[32] = {0x48, 0x8d, 0x05, 0x10, 0x00, 0x00, 0x00, /* lea rax, [rip+16] */
                                   0x74, 0x20,                               /* je 0x29 */
                                   0x31, 0xc0,                               /* xor eax, eax */
                                   0x31, 0xdb};
  static struct rf_stub_plan plan;
  uintptr_t stub = (uintptr_t)code + 0x100000;
  struct rf_stub_request request = {.code = code, .limit = 11, .stub = stub, .jump_bytes = 11, .bare = true};
  cr_assert_eq(rf_stub_build(&request, &plan), RF_PATCH_OK);
  cr_assert_eq(plan.moves, 4);
  cr_expect(plan.body_offset == 0 && plan.goes_on && plan.window_bytes == 11);
  struct rf_instruction in;
  static const uint16_t from[] = {0, 7, 9, 11};
  uintptr_t targets[] = {(uintptr_t)code + 7 + 16, (uintptr_t)code + 0x29, 0, (uintptr_t)code + 11};
  for (size_t i = 0; i < 4; i++) {
    size_t to = plan.move[i].to;
    cr_expect_eq(plan.move[i].from, from[i]);
    cr_assert(rf_decode(plan.bytes + to, plan.length - to, stub + to, &in));
    cr_expect_eq(in.target, targets[i], "instruction %zu", i);
  }
}

Test(patch, a_call_inside_a_run_is_not_moved) {
  static const uint8_t code[32] = {0x90, 0xe8, 0, 0, 0, 0, 0x31, 0xc0, 0x31, 0xdb, 0x31, 0xc9};
  static struct rf_stub_plan plan;
  struct rf_stub_request request = {
      .code = code, .limit = 10, .stub = (uintptr_t)code + 0x100000, .jump_bytes = 10, .bare = true};
  cr_expect_eq(rf_stub_build(&request, &plan), RF_REFUSE_CALL_INSIDE);
}

/* ---- hosts ---- */

/* hosts.S */
extern const char host_good[], host_entered[], host_loops[], host_table[], host_tail[], host_apart[],
    host_data[], host_calls[], host_saves[], host_handles[], host_frameless[], host_end[];

static int note_module(struct dl_phdr_info *info, size_t size, void *user) {
  struct rf_module *module = user;
  (void)size;
  *module = (struct rf_module){.path = "test",
                               .name = "test",
                               .load_address = info->dlpi_addr,
                               .program_headers = info->dlpi_phdr,
                               .program_header_count = info->dlpi_phnum};
  return 1;
}

/* The host that is found when only one function is near enough. */
static bool host_in(const char *function, const char *next, struct rf_host *host) {
  static struct rf_module module;
  dl_iterate_phdr(note_module, &module);
  enum { COUNT = 11 };
  const char *starts[COUNT + 1] = {host_good,  host_entered, host_loops,     host_table,
                                   host_tail,  host_apart,   host_data,      host_calls,
                                   host_saves, host_handles, host_frameless, host_end};
  struct rf_extent functions[COUNT];
  for (size_t i = 0; i < COUNT; i++)
    functions[i] = (struct rf_extent){(uintptr_t)starts[i], (size_t)(starts[i + 1] - starts[i])};
  size_t bytes = (size_t)(host_end - host_good);
  struct rf_branch_list list =
      list_of((const uint8_t *)host_good, bytes, functions, COUNT, (uintptr_t)host_good, bytes);
  struct rf_patch_request request = {.address = (uintptr_t)host_end,
                                     .module = &module,
                                     .functions = functions,
                                     .function_count = COUNT,
                                     .branches = &list};
  bool found = rf_host_find(&request, (uintptr_t)function, (uintptr_t)next - RF_JUMP_BYTES, host);
  rf_branch_list_free(&list);
  return found;
}

Test(patch, a_straight_run_hosts_a_landing) {
  struct rf_host host;
  uintptr_t start = (uintptr_t)host_good;
  cr_assert(host_in(host_good, host_entered, &host));
  cr_expect(host.start == start && host.landing == start + 5 && host.end == start + 12);
  rf_host_take(host.start, host.end, true);
  cr_expect(rf_host_covers(start + 11, start + 12) && !rf_host_covers(start + 12, start + 13) &&
            rf_host_planned(start, start + 1));
  rf_host_settle();
  cr_expect(rf_host_covers(start, start + 1) && !rf_host_planned(start, start + 1));
  cr_expect_not(host_in(host_good, host_entered, &host), "it hosts one already");
  rf_host_forget(start, start + 1);
  cr_expect(host_in(host_good, host_entered, &host));
}

Test(patch, a_run_outside_of_loops_is_preferred) {
  struct rf_host host;
  cr_assert(host_in(host_loops, host_table, &host));
  cr_expect_gt(host.start, (uintptr_t)host_loops + 13, "behind the loop");
  rf_host_take(host.start, host.end, true);
  cr_assert(host_in(host_loops, host_table, &host), "but one in a loop will do");
  rf_hosts_drop(0);
}

Test(patch, what_may_be_entered_unknown_hosts_nothing) {
  struct rf_host host;
  cr_expect_not(host_in(host_entered, host_loops, &host), "a run that is branched into");
  cr_expect_not(host_in(host_table, host_tail, &host), "a function with a jump table");
  cr_expect_not(host_in(host_tail, host_apart, &host), "a jump through memory, where labels may lie");
  cr_expect_not(host_in(host_apart, host_data, &host), "a function with a part elsewhere");
  cr_expect_not(host_in(host_data, host_calls, &host), "code that nothing leads to");
  cr_expect_not(host_in(host_calls, host_saves, &host), "a call in the middle");
  cr_expect_not(host_in(host_handles, host_frameless, &host), "a function that handles exceptions");
  cr_expect_not(host_in(host_frameless, host_end, &host), "a function without frame information");
}

Test(patch, a_run_does_not_hide_where_a_register_is_saved) {
  struct rf_host host;
  cr_assert(host_in(host_saves, host_handles, &host));
  cr_expect_eq(host.start, (uintptr_t)host_saves + 1);
}

/* ---- landings' frames ---- */

Test(patch, spots_are_found_until_they_are_forgotten) {
  for (uintptr_t i = 1; i <= 1500; i++) rf_spots_add(0x400000 + 7 * i, i % 2 ? 0x1000 : 0x2000);
  for (uintptr_t i = 1; i <= 1500; i++) {
    cr_expect_eq(rf_spots_find(0x400000 + 7 * i), i % 2 ? 0x1000 : 0x2000);
    cr_expect_eq(rf_spots_find(0x400001 + 7 * i), 0);
  }
  rf_spots_forget(0x400000, 0x400000 + 7 * 100);
  rf_spots_forget_section(0x1000);
  for (uintptr_t i = 1; i <= 1500; i++)
    cr_expect_eq(rf_spots_find(0x400000 + 7 * i), i < 100 || i % 2 ? 0 : 0x2000);
  rf_spots_forget_section(0x2000);
  for (uintptr_t round = 0; round < 20; round++) { /* their places serve again */
    for (uintptr_t i = 0; i < 500; i++) rf_spots_add(0x10000000 * (round + 1) + 16 * i, 0x3000);
    cr_expect_eq(rf_spots_find(0x10000000 * (round + 1) + 16 * 499), 0x3000);
    rf_spots_forget_section(0x3000);
  }
}
