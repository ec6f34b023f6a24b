/* Keeping the app's vector registers whole around C code that may use them. */
#pragma once

#include <stdint.h>

extern uint32_t rf_vector_bytes __attribute__((visibility("hidden"))); /* of an xsave area; 0: fxsave only */

/* function(a, b) with all vector state saved and put back. On an own stack only. */
uintptr_t rf_with_vectors_saved(void *function, uintptr_t a, uintptr_t b);

/* Asks the CPU how large the state is that the kernel enabled. */
void rf_vectors_measure(void);
