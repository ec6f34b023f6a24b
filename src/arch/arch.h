/* What the rest knows of the machine: everything else about it stays in src/arch/<machine>/. */
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/bytes.h"
#include "arch/x86_64/clone.h"
#include "arch/x86_64/cycles.h"
#include "arch/x86_64/float.h"
#include "arch/x86_64/local.h"
#include "arch/x86_64/registers.h"
#include "arch/x86_64/stack.h"
#include "arch/x86_64/syscall.h"
#else
#error "Refunc runs on x86-64; another machine needs a folder of its own under src/arch"
#endif
