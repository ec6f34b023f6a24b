/*
 * Before a program is started: finding it as the shell does, and whether the dynamic loader will preload
 * anything into it. A static, 32-bit, setuid or musl program would run without Refunc and without a word.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Finds name by PATH unless it has a slash: 0, RF_NOT_FOUND or RF_NOT_EXECUTABLE (said on stderr). */
int rf_find_program(const char *name, char *path, size_t size);

/*
 * Whether path can be preloaded: an x86-64 ELF program with the GNU loader, not setuid; a script stands for
 * its interpreter, whose path loaded receives. false with the reason and what to do in why.
 */
bool rf_preloadable(const char *path, char *loaded, size_t size, char *why, size_t why_size);

/* The library next to this tool: installed, or in the build folder. false with where was looked in why. */
bool rf_find_library(char *path, size_t size, char *why, size_t why_size);

/*
 * The shared runtime of a sanitizer (libasan.so.8) that path needs: it insists on being the first library, so
 * it has to stand in front of the preload. false: none.
 */
bool rf_sanitizer_runtime(const char *path, char *name, size_t size);
