/* Separate debug files: where a stripped module's symbols went. */
#pragma once

#include <stdbool.h>

#include "elf/image.h"
#include "elf/module.h"

/*
 * Opens the debug file of a module: first the one that its build id names under /usr/lib/debug/.build-id,
 * then the one that .gnu_debuglink names beside it, in .debug/ beside it, or below /usr/lib/debug. A file
 * counts only when its build id is the module's or, without build ids, its CRC is the link's. False: there is
 * none.
 */
bool rf_debug_file_open(const struct rf_module *module, const struct rf_image *stripped,
                        struct rf_image *debug);
