/* Writes JSON into a buffer, two blanks a level; numbers that are not finite become null. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "report/buffer.h"

struct rf_json {
  struct rf_buffer *out;
  unsigned depth;
  uint64_t filled; /* bit d: the container at depth d has an element */
  uint64_t flat;   /* bit d: the container at depth d stays on one line */
};

/* key is NULL for elements of an array and for the document itself. */
void rf_json_open(struct rf_json *json, const char *key, char bracket); /* '{' or '[' */
void rf_json_open_flat(struct rf_json *json, const char *key, char bracket);
void rf_json_close(struct rf_json *json, char bracket); /* '}' or ']' */
void rf_json_number(struct rf_json *json, const char *key, double value);
void rf_json_count(struct rf_json *json, const char *key, uint64_t value);
void rf_json_bool(struct rf_json *json, const char *key, bool value);
/* Control characters, <, >, & and what is no UTF-8 leave escaped or as U+FFFD, so that it can stand in HTML
 * as well. */
void rf_json_text(struct rf_json *json, const char *key, const char *text);
