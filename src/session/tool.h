/*
 * Running the tool from inside the app's process: for the exit report. The helper is a child with exit signal
 * 0, so that the app's wait() and SIGCHLD never see it, without the preload in its environment.
 */
#pragma once

#include <stdbool.h>

/* Remembers where the library lies (path as the loader knows it), to find the tool beside it. */
void rf_tool_find(const char *library);
/* Absolute path of the tool, or NULL. */
const char *rf_tool_path(void);
/* Runs the tool with arguments (NULL-terminated, [0] included), waits up to deadline_ms. Its exit status, or
 * a negative errno. */
int rf_tool_run(const char *const *arguments, char *const *environment, int deadline_ms);
