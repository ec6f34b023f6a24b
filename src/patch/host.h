/*
 * Room for a landing inside other functions, where there is no padding: a run of instructions that is entered
 * at its first byte only is moved away, and what its own jump leaves of it holds the landing.
 *
 *   before                         after
 *   ┌ test rdi, rdi ┐ start        ┌ jmp moved ────┐──▶ the run's instructions, then a jump behind the run
 *   │ mov eax, 7    │              ├ jmp stub ─────┤◀── the landing: reached by a 2-byte jump from nearby
 *   │ lea rdx, [..] │              │ int3          │
 *   └ ...           ┘ end          └ ...           ┘
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_patch_request;

struct rf_host {
  uintptr_t start, end, landing;
};

/* A run whose landing begins in [low, high]; false: there is none. The request's branches must be known for
 * everything from RF_HOST_AREA before low to RF_HOST_AREA behind high. Cost: about 60 ns an instruction of
 * the functions there. */
#define RF_HOST_AREA 64
bool rf_host_find(const struct rf_patch_request *request, uintptr_t low, uintptr_t high,
                  struct rf_host *host);
/* The bytes are used from now on; planned until what is planned has been written or handed out. goes_on: what
 * was there comes back behind them. */
void rf_host_take(uintptr_t start, uintptr_t end, bool goes_on);
void rf_host_settle(void);
/* Whether any of the bytes are used; only by what is planned still. */
bool rf_host_covers(uintptr_t start, uintptr_t end);
bool rf_host_planned(uintptr_t start, uintptr_t end);
/* How many are used, and back to so many. */
size_t rf_hosts(void);
void rf_hosts_drop(size_t count);
/* Runs in code that is gone. */
void rf_host_forget(uintptr_t low, uintptr_t high);
