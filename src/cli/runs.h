/* The state folder that refunc.output: auto writes to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* The newest run's folder; false with a message in error. */
bool rf_newest_run(char *path, size_t size, char *error, size_t error_bytes);
