/*
 * Reading numbers out of the kernel's text files and writing short lines, without libc: the sampler's thread
 * has no TLS, and the app may have traced strtoul or memcpy. Nothing here allocates, reads beyond its end, or
 * fails silently.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A piece of text that is being consumed from its left. */
struct rf_scan {
  const char *at, *end;
};

/* Takes the next line (without its newline) off text; false at the end. */
bool rf_scan_line(struct rf_scan *text, struct rf_scan *line);
/* Takes the next word (anything but blanks, tabs, newlines) off line; false where there is none. */
bool rf_scan_word(struct rf_scan *line, struct rf_scan *word);
/* Takes an unsigned decimal number off line, blanks before it skipped; false where there is none or it
 * exceeds 64 bits. */
bool rf_scan_number(struct rf_scan *line, uint64_t *value);
/* Takes prefix off text if it starts with it. */
bool rf_scan_prefix(struct rf_scan *text, const char *prefix);
bool rf_scan_equals(struct rf_scan word, const char *literal);
/* Takes everything up to and including the next separator off text; false (and text unchanged) where there is
 * none. */
bool rf_scan_until(struct rf_scan *text, char separator, struct rf_scan *before);
/* The number in the first line that begins with key. */
bool rf_scan_key(struct rf_scan text, const char *key, uint64_t *value);

size_t rf_scan_length(const char *text);

/* A line under construction; what does not fit is left out, the end stays a NUL. */
struct rf_note {
  char *at, *end;
};
struct rf_note rf_note_in(char *bytes, size_t size);
void rf_note_add(struct rf_note *text, const char *more);
void rf_note_add_scan(struct rf_note *text, struct rf_scan more);
void rf_note_add_number(struct rf_note *text, uint64_t value);
/* A size as people read it: 512 B, 20 KiB, 1.5 GiB. */
void rf_note_add_bytes(struct rf_note *text, uint64_t bytes);
