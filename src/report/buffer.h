/* A growing string: what renderers write into. Only in the tool; ends the process with status 125 without
 * memory. */
#pragma once

#include <stddef.h>

struct rf_buffer {
  char *bytes; /* NUL-terminated; NULL while nothing was added */
  size_t length, capacity;
};

void rf_buffer_free(struct rf_buffer *buffer);
void rf_buffer_add(struct rf_buffer *buffer, const char *bytes, size_t length);
void rf_buffer_text(struct rf_buffer *buffer, const char *text);
void rf_buffer_char(struct rf_buffer *buffer, char c);
void rf_buffer_repeat(struct rf_buffer *buffer, const char *text, size_t times);
void rf_buffer_printf(struct rf_buffer *buffer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
