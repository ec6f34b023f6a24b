/*
 * Building and reading short texts without libc, for code that runs on the sampler's bare thread or before
 * libc is ready. Nothing here allocates, fails loudly, or touches errno.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Appends to a buffer of fixed size; always NUL-terminated. What does not fit sets overflow and is cut. */
struct rf_text {
  char *bytes;
  size_t size, length;
  bool overflow;
};

struct rf_text rf_text_in(char *buffer, size_t size);
void rf_text_char(struct rf_text *text, char c);
void rf_text_put(struct rf_text *text, const char *more);
void rf_text_number(struct rf_text *text, uint64_t value);
void rf_text_padded(struct rf_text *text, uint64_t value, unsigned digits);

size_t rf_text_length(const char *text);
bool rf_text_equal(const char *a, const char *b);
/* Length that was needed is not told: false when it was cut. */
bool rf_text_copy(char *to, size_t size, const char *from);
/* Decimal digits at *at, which moves behind them; 0 where there are none. Saturates. */
uint64_t rf_text_parse(const char **at);
/* The position of the last c, or NULL. */
const char *rf_text_last(const char *text, char c);

/* What a negative errno means, in words. */
const char *rf_error_text(long error);
