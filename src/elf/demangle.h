/* C++ and Rust names for people (libiberty). */
#pragma once

#include <stddef.h>

/* Demangles into buffer (terminated) with parameters and without return type, otherwise as c++filt shows
 * functions; Rust names without their hash. Returns the length, 0 when name is not mangled, does not fit, or
 * has more than 16 KB. Any thread, however small its stack: it works on one of its own (1 MB of address
 * space, 16 MB for names over 1,000 bytes). Not signal-safe. Cost: about 1 us. */
size_t rf_demangle(const char *name, char *buffer, size_t size);
