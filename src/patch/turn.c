/* See turn.h. A branch to the beginning is a call where it comes from another function, and stays. */
#include "patch/turn.h"

#include "arch/stub.h"
#include "patch/edits.h"
#include "patch/host.h"
#include "patch/patch.h"

/* From the function itself, as far as its symbol says. */
static bool is_own(const struct rf_patch_request *r, uintptr_t from) {
  size_t size = r->size && r->size < r->limit ? r->size : r->limit;
  return from - r->address < size;
}

static bool matters(const struct rf_turn *t, const struct rf_branch *branch) {
  const struct rf_patch_request *r = t->request;
  uintptr_t jump = r->address + t->plan->jump_offset;
  bool own = is_own(r, branch->from), start = branch->to == r->address || branch->to == jump;
  bool covered = branch->to == r->address || branch->to - jump < t->jump_bytes;
  bool moved = branch->from - jump < t->plan->window_bytes;
  bool call = branch->flow == RF_FLOW_CALL && branch->to == r->address;
  bool label = branch->flow == RF_FLOW_OTHER; /* what from says of it is no branch that may have been moved */
  if (!covered || (moved && !label) || call) return false;
  return own ? !t->whole : !start;
}

/* Where the instruction at to lies now; 0: there is none. */
static uintptr_t moved_to(const struct rf_turn *t, uintptr_t to) {
  uintptr_t jump = t->request->address + t->plan->jump_offset;
  uint16_t moved = t->plan->moved[to < jump ? 0 : to - jump];
  return moved ? t->stub + moved : 0;
}

static bool turn_one(const struct rf_turn *t, const struct rf_branch *branch) {
  uintptr_t behind = branch->from + branch->length, target = moved_to(t, branch->to);
  uint8_t distance[4];
  if (branch->flow == RF_FLOW_OTHER) return false; /* moved before, for another function */
  struct rf_patch_window window;
  if (!target || rf_patch_windows(branch->from, behind, &window, 1) || rf_host_covers(branch->from, behind))
    return false;
  if (branch->operand_bytes == 1)
    target =
        t->place(t->user, behind - RF_SHORT_JUMP_REACH, behind + RF_SHORT_JUMP_REACH, target, branch->to);
  if (!target || !rf_distance_encode(behind, target, branch->operand_bytes, distance)) return false;
  rf_edit_add(branch->from + branch->operand, distance, branch->operand_bytes, t->stub, t->request->id);
  rf_host_take(branch->from, behind, branch->flow != RF_FLOW_JUMP);
  return true;
}

bool rf_turn_branches(const struct rf_turn *t) {
  const struct rf_branch_list *list = t->request->branches;
  uintptr_t end = t->request->address + t->plan->jump_offset + RF_JUMP_BYTES;
  unsigned turned = 0;
  for (size_t i = rf_branch_list_at(list, t->request->address); i < list->count && list->branches[i].to < end;
       i++) {
    if (!matters(t, &list->branches[i])) continue;
    if (++turned > RF_TURNS_MOST || !turn_one(t, &list->branches[i])) return false;
  }
  return true;
}
