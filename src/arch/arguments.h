/* Where the calling convention puts arguments and results; see x86_64/arguments.h. */
#pragma once
#if defined(__x86_64__)
#include "arch/x86_64/arguments.h"
#endif
