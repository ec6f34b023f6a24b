/* What a value means by the type of its option (options.def). Independent of the locale; no state. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum rf_value_kind {
  RF_VALUE_CHOICE, /* one of a|b|c */
  RF_VALUE_ONOFF,
  RF_VALUE_AUTO,
  RF_VALUE_SIZE,
  RF_VALUE_DURATION,
  RF_VALUE_RATIO,
  RF_VALUE_NUMBER,
  RF_VALUE_TEXT,
  RF_VALUE_LIST
};

struct rf_value {
  int choice;      /* CHOICE, AUTO: index of the value */
  bool on;         /* ONOFF */
  uint64_t number; /* SIZE in bytes, NUMBER */
  int64_t ns;      /* DURATION */
  double ratio;    /* RATIO: 0.05 for 5%, -1 for off */
};

enum rf_value_kind rf_value_kind(const char *type);
/* Reads text by type. NULL when it is right; else what would be right, as the end of a sentence ("... wants a
 * size such as 512K"). *value is changed only when it is right. */
const char *rf_value_parse(const char *type, const char *text, struct rf_value *value);

/* The single readers. 512, 512K, 1.5M, 2G, 1T, with an optional B or iB; powers of 1024. */
bool rf_value_size(const char *text, uint64_t *bytes);
/* 100ns, 500us, 100ms, 1.5s, 2m, 1h. */
bool rf_value_duration(const char *text, int64_t *ns);
/* 5%, 0.5%, off; more than 0 and at most 100%. */
bool rf_value_ratio(const char *text, double *ratio);
bool rf_value_number(const char *text, uint64_t *number);
/* on, off; also yes, no, true, false, 1, 0. */
bool rf_value_onoff(const char *text, bool *on);
/* "slow > DURATION". */
bool rf_value_keep(const char *text, int64_t *ns);
/* Index of text in "a|b|c", or -1. */
int rf_value_choice(const char *choices, const char *text);
