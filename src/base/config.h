/*
 * The config file's syntax: YAML, read strictly, into keys and values; what a key means is options_config.c's
 * business. Where YAML would silently give something else than what is written (tags, aliases, block text,
 * text lost behind ` #`, commas of flow lists inside a pattern, duplicate keys) it says so instead.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define RF_CONFIG_DEPTH 8 /* keys below keys */

/* One plain piece of text, of a value or of a list. */
struct rf_config_item {
  const char *text;
  unsigned line;
  const char
      *behind; /* what stands right behind a ` #` on the same line, where that may be lost text; or NULL */
};

/* A key's value: no items and no list: it has none. */
struct rf_config_value {
  const struct rf_config_item *items;
  size_t count;
  bool list;
  unsigned line; /* of its key */
};

struct rf_config_handler {
  void *user;
  /* path: the keys from the top down, 1 to RF_CONFIG_DEPTH of them. All strings live until rf_config_read
   * returns. */
  void (*value)(void *user, const char *const *path, size_t depth, const struct rf_config_value *value);
  /* key: the dotted path, or "" where it isn't known. */
  void (*problem)(void *user, unsigned line, const char *key, const char *message);
};

/* Reads a file of at most 4 MB. 0, or a negative errno when it couldn't be read at all (nothing was reported
 * then): EFBIG too large, EINVAL not a regular file. A line that is not YAML is reported and left out, the
 * rest is read. Uses rf_malloc and raw system calls only; one thread at a time. */
int rf_config_read(const char *path, const struct rf_config_handler *handler);

/* The same for text in memory, which needs no end. */
void rf_config_parse(const char *text, size_t length, const struct rf_config_handler *handler);
