/* See value.h. Numbers are read as decimal mantissa and scale, so that neither locale nor rounding gets
 * between. */
#include "base/value.h"

#include <stddef.h>
#include <string.h>

struct unit {
  const char *name;
  uint64_t factor;
};

static bool digit(char c) { return c >= '0' && c <= '9'; }

/* Reads digits[.digits] and leaves *rest behind them. At most 18 digits. */
static bool decimal(const char *text, uint64_t *mantissa, uint64_t *scale, const char **rest) {
  int digits = 0;
  *mantissa = 0;
  *scale = 1;
  for (; digit(*text); text++, digits++)
    if (digits < 18) *mantissa = *mantissa * 10 + (uint64_t)(*text - '0');
  if (digits == 0 || digits > 18) return false;
  if (*text == '.' && digit(text[1]))
    for (text++; digit(*text); text++, digits++) {
      if (digits >= 18) return false;
      *mantissa = *mantissa * 10 + (uint64_t)(*text - '0');
      *scale *= 10;
    }
  *rest = text;
  return true;
}

static bool with_unit(const char *text, const struct unit *units, size_t count, uint64_t *result) {
  uint64_t mantissa, scale;
  const char *unit;
  if (!decimal(text, &mantissa, &scale, &unit)) return false;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(unit, units[i].name) != 0) continue;
    unsigned __int128 product = (unsigned __int128)mantissa * units[i].factor / scale;
    if (product > INT64_MAX) return false;
    *result = (uint64_t)product;
    return true;
  }
  return false;
}

bool rf_value_size(const char *text, uint64_t *bytes) {
#define SIZES(letter, shift)                                                                                 \
  {letter, 1ull << shift}, {letter "B", 1ull << shift}, { letter "iB", 1ull << shift }
  static const struct unit units[] = {{"", 1},        {"B", 1},       SIZES("K", 10), SIZES("k", 10),
                                      SIZES("M", 20), SIZES("G", 30), SIZES("T", 40)};
#undef SIZES
  return with_unit(text, units, sizeof units / sizeof *units, bytes);
}

bool rf_value_duration(const char *text, int64_t *ns) {
  static const struct unit units[] = {
      {"ns", 1},         {"us", 1000},       {"\xc2\xb5s", 1000},  {"ms", 1000000},
      {"s", 1000000000}, {"m", 60000000000}, {"min", 60000000000}, {"h", 3600000000000}};
  uint64_t result;
  if (!with_unit(text, units, sizeof units / sizeof *units, &result)) return false;
  *ns = (int64_t)result;
  return true;
}

bool rf_value_ratio(const char *text, double *ratio) {
  uint64_t mantissa, scale;
  const char *rest;
  if (strcmp(text, "off") == 0) {
    *ratio = -1;
    return true;
  }
  if (!decimal(text, &mantissa, &scale, &rest) || strcmp(rest, "%") != 0) return false;
  double percent = (double)mantissa / (double)scale;
  if (percent <= 0 || percent > 100) return false;
  *ratio = percent / 100;
  return true;
}

bool rf_value_number(const char *text, uint64_t *number) {
  uint64_t scale, result;
  const char *rest;
  if (!decimal(text, &result, &scale, &rest) || *rest || scale != 1) return false;
  *number = result;
  return true;
}

bool rf_value_onoff(const char *text, bool *on) {
  int which = rf_value_choice("off|on|no|yes|false|true|0|1", text);
  if (which >= 0) *on = which % 2;
  return which >= 0;
}

bool rf_value_keep(const char *text, int64_t *ns) {
  if (strncmp(text, "slow", 4) != 0) return false;
  text += 4 + strspn(text + 4, " ");
  if (*text++ != '>') return false;
  return rf_value_duration(text + strspn(text, " "), ns);
}

int rf_value_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (int i = 0;; i++) {
    size_t n = strcspn(choices, "|");
    if (n == length && memcmp(choices, text, n) == 0) return i;
    if (!choices[n]) return -1;
    choices += n + 1;
  }
}

enum rf_value_kind rf_value_kind(const char *type) {
  static const char *const names[] = {"ONOFF", "AUTO", "SIZE", "DURATION", "RATIO", "NUMBER", "TEXT", "LIST"};
  for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
    if (strcmp(type, names[i]) == 0) return (enum rf_value_kind)(i + 1);
  return RF_VALUE_CHOICE;
}

static bool automatic(const char *text, int *choice) {
  bool on;
  if (strcmp(text, "auto") == 0)
    *choice = 0;
  else if (rf_value_onoff(text, &on))
    *choice = on ? 1 : 2;
  else
    return false;
  return true;
}

const char *rf_value_parse(const char *type, const char *text, struct rf_value *value) {
  switch (rf_value_kind(type)) {
  case RF_VALUE_ONOFF: return rf_value_onoff(text, &value->on) ? NULL : "on or off";
  case RF_VALUE_AUTO: return automatic(text, &value->choice) ? NULL : "auto, on or off";
  case RF_VALUE_SIZE: return rf_value_size(text, &value->number) ? NULL : "a size such as 65536, 512K or 2G";
  case RF_VALUE_DURATION:
    return rf_value_duration(text, &value->ns) ? NULL
                                               : "a duration with its unit, such as 500us, 100ms or 2s";
  case RF_VALUE_RATIO:
    return rf_value_ratio(text, &value->ratio) ? NULL : "a share above 0% and up to 100%, such as 5%, or off";
  case RF_VALUE_NUMBER: return rf_value_number(text, &value->number) ? NULL : "a whole number";
  case RF_VALUE_CHOICE: {
    int choice = rf_value_choice(type, text);
    if (choice >= 0) value->choice = choice;
    return choice >= 0 ? NULL : type;
  }
  default: return NULL;
  }
}
