/* A stopped thread's registers, on whatever machine this is. */
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/stopped.h"
#endif
