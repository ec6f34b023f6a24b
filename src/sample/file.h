/* Files by raw system calls, as the sampler's thread needs them: opened, read and closed within one call,
 * errors as -errno, no descriptor kept. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* O_CLOEXEC and never blocking. */
long rf_file_open(const char *path, int flags);
void rf_file_close(long descriptor);
/* Up to size bytes of a file from its start; repeats until the end only when whole is set (a file that the
 * kernel makes in one piece needs one read). The count, or -errno. */
long rf_file_read(const char *path, char *bytes, size_t size, bool whole);
/* The same from an open file's start. */
long rf_file_read_again(long descriptor, char *bytes, size_t size, bool whole);
/* The target of a symbolic link, NUL-terminated; its length or -errno. */
long rf_file_link(const char *path, char *bytes, size_t size);
/* Why a call failed, for people. */
const char *rf_file_error(long error);

/* Calls each(name, user) for every entry of a folder but . and .. until it returns false; 0 or -errno. */
long rf_file_folder(const char *path, bool (*each)(const char *name, void *user), void *user);

/* Where an unsigned number stands in a file of its own (sysfs); false where it doesn't. */
bool rf_file_number(const char *path, uint64_t *value);
