/* The dynamic loader's own face. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The function that the loader calls whenever its list of objects changes (r_debug.r_brk), made for debuggers; 0 when there is none. */
uintptr_t rf_loader_notifier(void);
/* Whether the loader says that its list is whole now (RT_CONSISTENT), as against being changed. */
bool rf_loader_consistent(void);
