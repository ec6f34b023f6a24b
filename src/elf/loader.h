/* The dynamic loader's own face. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* The function that the loader calls whenever its list of objects changes (r_debug.r_brk), made for
 * debuggers; 0 when there is none. */
uintptr_t rf_loader_notifier(void);
/* Whether the loader says that its list is whole now (RT_CONSISTENT), as against being changed. */
bool rf_loader_consistent(void);

/* The base name that the executable was called by (redis-server, where that is a link to redis-check-rdb);
 * NULL where that names another file, as for scripts. It lives as long as the process. Cost: two system
 * calls. */
const char *rf_loader_program_name(void);

/* The path that the executable was started by, under the same condition; else NULL. */
const char *rf_loader_program_path(void);
/* Whether the kernel started the executable, not somebody who ran the dynamic loader as a program. */
bool rf_loader_started_by_kernel(void);

/* Whether address lies in the executable. */
bool rf_loader_in_program(const void *address);
/* Runs the executable's DT_PREINIT_ARRAY, ahead of the loader, which runs it again. */
void rf_loader_run_preinit(int argc, char **argv, char **envp);
