/* C++ and Rust names for people (libiberty). */
#pragma once

#include <stddef.h>

/* Demangles into buffer with parameters and without return type, as c++filt shows functions; Rust names
 * without their hash. Returns the length, 0 when name is not mangled or does not fit. Needs no heap, but
 * stack in proportion to the name's length (bounded: names over 16 KB are refused). */
size_t rf_demangle(const char *name, char *buffer, size_t size);
