/* MiniDebugInfo: an xz-compressed ELF image of the local symbols inside a stripped file (.gnu_debugdata;
 * Fedora). */
#pragma once

#include <stdbool.h>

#include "elf/image.h"

/* Unpacks it; false: there is none, or it is broken, or larger than 256 MB. Closing inner frees it. */
bool rf_minidebug_open(const struct rf_image *image, struct rf_image *inner);
