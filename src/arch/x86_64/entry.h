/*
 * The assembly entry (entry.S) and what it needs from src/trace: call.c, enter.c, dead.c. Code behind it is compiled with
 * general registers only, since the app's vector registers hold arguments and results.
 */
#pragma once

#include <stdint.h>

#include "arch/x86_64/record.h"
#include "arch/x86_64/saved.h"

/* A function that preserves every register, also those that C may clobber. */
#define RF_PRESERVE_ALL __attribute__((no_caller_saved_registers))

struct rf_site {
  uintptr_t body;
  void *extra;
}; /* one a function id; body: relocated first instructions */

extern char rf_enter[] __attribute__((visibility("hidden")));
extern char rf_enter_full[]
    __attribute__((visibility("hidden"))); /* the entry of functions with a struct rf_full */
extern char rf_enter_checked[] __attribute__((visibility("hidden"))); /* of those that carry rules, too */
extern char rf_return[] __attribute__((visibility("hidden")));
extern struct rf_site *rf_sites __attribute__((visibility("hidden")));
extern uint64_t rf_own_stacks_free __attribute__((visibility("hidden")));

enum { RF_ENTER_RETRY = 0, RF_ENTER_BYPASS = 1 }; /* other answers: a filled record */

uintptr_t rf_enter_slow(uint32_t id, uintptr_t position, struct rf_record *rbx);
/*
 * Account the call that ends, clock: the cycle counter's, and free its record; rbp: the caller's. rf_exit
 * does so for calls of every kind. The others answer 0 where it is needed; everything unlikely lies behind
 * calls that preserve all registers, so they have few to save themselves: rf_exit_plain, for calls without
 * flags, 6 instead of 15; rf_exit_measured, for those with the flags in RF_RECORD_MEASURED and no weight, 12.
 */
RF_PRESERVE_ALL int rf_exit_plain(struct rf_record *record, uint64_t clock);
RF_PRESERVE_ALL int rf_exit_measured(struct rf_record *record, uint64_t clock);
RF_PRESERVE_ALL void rf_exit(struct rf_record *record, uint64_t clock, uintptr_t rbp);
void rf_exit_rare(struct rf_record *record, uint64_t now, uint64_t cycles);
RF_PRESERVE_ALL void rf_tail_plain(struct rf_record *record, uint32_t id, uint64_t now, struct rf_slot *slot);
RF_PRESERVE_ALL void rf_tail_full(struct rf_record *record, uint32_t id, uint64_t now, struct rf_slot *slot);
RF_PRESERVE_ALL void rf_tail_checked(struct rf_record *record, uint32_t id, uint64_t now,
                                     struct rf_slot *slot);
/* src/validate: looks at the arguments, then begins a full measurement; and looks at the result.
 * saved->verdict says what is to be done. */
RF_PRESERVE_ALL void rf_checked_enter(struct rf_record *record, struct rf_saved_call *saved);
RF_PRESERVE_ALL void rf_checked_exit(struct rf_record *record, struct rf_saved_call *saved);
/* Begins a full measurement of the call, the clock last. */
RF_PRESERVE_ALL void rf_full_enter(struct rf_record *record);

/* function(a, b, c) on one of Refunc's own stacks (32 KB each). */
uintptr_t rf_on_own_stack(uintptr_t a, uintptr_t b, uintptr_t c, void *function);
/* The same with signals blocked before the switch: in src/trace/call.c. */
uintptr_t rf_blocked_on_own_stack(uintptr_t a, uintptr_t b, uintptr_t c, void *function);
/* That, but every register is preserved and there is no answer. */
RF_PRESERVE_ALL void rf_preserved_on_own_stack(uintptr_t a, uintptr_t b, uintptr_t c, void *function);

/* hook.S: entries of hooked allocator functions; their handlers are in preload/hooked.c */
extern char rf_hook_alloc[] __attribute__((visibility("hidden")));
extern char rf_hook_placed[] __attribute__((visibility("hidden")));
extern char rf_hook_realloc[] __attribute__((visibility("hidden")));
extern char rf_hook_resize[] __attribute__((visibility("hidden")));
extern char rf_hook_free[] __attribute__((visibility("hidden")));
extern char rf_hook_back[] __attribute__((visibility("hidden")));
void *rf_hooked_alloc(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);
int rf_hooked_placed(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);
void *rf_hooked_realloc(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);
uintptr_t rf_hooked_resize(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);
uintptr_t rf_hooked_free(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);
uintptr_t rf_hooked_back(uintptr_t a, uintptr_t b, uintptr_t c, uintptr_t d, uintptr_t e, uint32_t id);

/* notify.S */
extern char rf_notify[]
    __attribute__((visibility("hidden"))); /* an entry that calls rf_notified() instead of a body */
void rf_notified(void);
extern char rf_find_object_entry[]
    __attribute__((visibility("hidden"))); /* an entry that calls rf_find_object() instead of a body */
extern char rf_constructor_entry[]
    __attribute__((visibility("hidden"))); /* calls rf_constructor_due(id), which answers where to go on */
uintptr_t rf_constructor_due(uint32_t id);
void rf_probe_call(void);         /* a timed call of function 0 */
void rf_probe_call_checked(void); /* the same as a function that carries rules */
extern char rf_probe_body[] __attribute__((visibility("hidden"))); /* a body that only returns */
void rf_call_on(void *top, void (*function)(void *), void *argument);
