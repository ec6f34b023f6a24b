/*
 * Landings: single addresses amid a module's code (patch/landing.h) whose frames are those of the function
 * that is reached through them, not of the code around. Unwinding asks for them in signal handlers, so
 * looking one up takes no lock.
 */
#pragma once

#include <stdint.h>

/* The section that describes address is at section from now on. One that finds no room stays undescribed. */
void rf_spots_add(uintptr_t address, uintptr_t section);
/* The section that describes it; 0: address is no landing. Any thread, signal-safe. Cost: about 2 ns. */
uintptr_t rf_spots_find(uintptr_t address);
/* Landings in code that is gone, or that are described by a section that will be. */
void rf_spots_forget(uintptr_t low, uintptr_t high);
void rf_spots_forget_section(uintptr_t section);
