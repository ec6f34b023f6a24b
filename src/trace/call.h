/*
 * Calls in flight: what happens between a function's entry and its exit, behind the assembly of src/arch.
 *
 *   entry ─▶ record on the thread's pile ─▶ body ─▶ rf_exit: duration into slot and caller's record, record freed
 *                                             └─ exception, longjmp, ...: the record stays, dead, until the next
 *                                                entry, exit or summing-up on that stack closes it by its position
 */
#pragma once

#include <stdint.h>

#include "recording/format.h"

/* Once, before the first patch, and again in a forked child whose recording is new. inside: what a probe adds
 * to the timed duration, outside: what it costs the caller beyond that, in cycles. */
void rf_calls_start(void);
void rf_calls_set_probe_cost(uint64_t inside, uint64_t outside);

/* Functions with an id below this can be called; raised after their sites are filled. */
void rf_calls_set_function_count(uint32_t count);

/* For callers that are no functions (refunc.h): this thread's slot of an id, NULL where nothing is recorded;
 * and one duration more in it. Signal-safe. Cost: 1 ns and 4 ns, about 1 us where something has to be made
 * first. */
struct rf_thread;
struct rf_slot *rf_calls_slot(struct rf_thread *thread, uint32_t id);
void rf_calls_add(struct rf_slot *slot, uint64_t duration);

/* In a forked child, on its only thread: calls in flight belong to the parent; they return, but count nothing
 * here. */
void rf_calls_inherit(void);

/* From now on timed functions pass through (a child that is not followed). */
void rf_calls_silence(void);

/* A dead thread's pile, at the end or before a new thread takes it over: none of its calls will return. */
struct rf_thread;
void rf_calls_abandon(struct rf_thread *thread);

/* At the end, on the ending thread: closes what exceptions left on its own stack; calls still running stay
 * open. */
void rf_calls_settle(void);

/* Calls that could not be timed for want of memory. */
uint64_t rf_calls_dropped(void);
