/* The entry of timed calls and the records it fills, on whatever machine this is. */
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/entry.h"
#include "arch/x86_64/vectors.h"
#endif
