/* See buffer.h. */
#include "report/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct rf_buffer *buffer, size_t more) {
  if (buffer->capacity - buffer->length > more) return;
  size_t capacity = buffer->capacity ? buffer->capacity : 4096;
  while (capacity - buffer->length <= more) capacity *= 2;
  char *larger = realloc(buffer->bytes, capacity);
  if (!larger) {
    fputs("refunc: out of memory\n", stderr);
    exit(125);
  }
  buffer->bytes = larger;
  buffer->capacity = capacity;
}

void rf_buffer_free(struct rf_buffer *buffer) {
  free(buffer->bytes);
  *buffer = (struct rf_buffer){0};
}

void rf_buffer_add(struct rf_buffer *buffer, const char *bytes, size_t length) {
  make_room(buffer, length);
  memcpy(buffer->bytes + buffer->length, bytes, length);
  buffer->length += length;
  buffer->bytes[buffer->length] = 0;
}

void rf_buffer_text(struct rf_buffer *buffer, const char *text) { rf_buffer_add(buffer, text, strlen(text)); }

void rf_buffer_char(struct rf_buffer *buffer, char c) { rf_buffer_add(buffer, &c, 1); }

void rf_buffer_repeat(struct rf_buffer *buffer, const char *text, size_t times) {
  size_t length = strlen(text);
  for (size_t i = 0; i < times; i++) rf_buffer_add(buffer, text, length);
}

void rf_buffer_printf(struct rf_buffer *buffer, const char *format, ...) {
  va_list list;
  va_start(list, format);
  int length = vsnprintf(NULL, 0, format, list);
  va_end(list);
  if (length <= 0) return;
  make_room(buffer, (size_t)length);
  va_start(list, format);
  vsnprintf(buffer->bytes + buffer->length, (size_t)length + 1, format, list);
  va_end(list);
  buffer->length += (size_t)length;
}
