/* Where what was rendered goes: a file, standard output, or standard error in lines marked as Refunc's. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Writes all of it or gives up after deadline_ms (negative: never). false with errno. SIGPIPE is the caller's
 * affair. */
bool rf_write_all(int fd, const char *bytes, size_t length, int deadline_ms);
/* The same, each line behind prefix ("refunc: ") unless fd is a terminal. */
bool rf_write_marked(int fd, const char *prefix, const char *bytes, size_t length, int deadline_ms);
/* A new or replaced file; it appears whole or not at all. false, and errno tells. */
bool rf_write_file(const char *path, const char *bytes, size_t length);
