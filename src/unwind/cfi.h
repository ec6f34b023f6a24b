/* Call frame information (.eh_frame_hdr, .eh_frame) of one module, turned into a rule for one program
 * counter. */
#pragma once

#include "unwind/objects.h"
#include "unwind/rule.h"

/*
 * The rule for pc in object. lookup: the address to search for, pc - 1 for a return address (its call may be
 * the last instruction of a function), pc where a thread was interrupted. 0, or -ENOENT (no entry covers it),
 * or -EINVAL (the information is malformed, or unreadable). Every byte is looked at only after it is known to
 * be readable and inside the module. Any thread, signal-safe. Cost: 1 to 2 us.
 */
int rf_cfi_rule(const struct rf_object *object, uintptr_t lookup, uintptr_t pc, struct rf_rule *rule);
