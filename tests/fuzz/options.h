/* What must hold of every option set, whatever it was loaded from. Breaking it ends the fuzzer. */
#pragma once

#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "base/value.h"

#define RF_FUZZ_HOLDS(condition)                                                                             \
  do {                                                                                                       \
    if (!(condition)) abort();                                                                               \
  } while (0)

/* A complaint is one line that moves no cursor and fits a screen. */
static void complaint(void *lines, const char *message) {
  RF_FUZZ_HOLDS(*message && strlen(message) < 1200);
  for (const char *at = message; *at; at++) RF_FUZZ_HOLDS((unsigned char)*at >= 0x20 && *at != 0x7f);
  ++*(int *)lines;
}

/* The value that is shown means what the getters say. */
static void check_option(const struct rf_options *options, enum rf_option option) {
  struct rf_value value = {0};
  const char *origin, *shown = rf_option_shown(options, option, &origin), *type = rf_option_values(option);
  RF_FUZZ_HOLDS(shown && origin && *origin);
  if (*shown) RF_FUZZ_HOLDS(!rf_value_parse(type, shown, &value));
  switch (rf_value_kind(type)) {
  case RF_VALUE_CHOICE:
  case RF_VALUE_AUTO: RF_FUZZ_HOLDS(rf_option_choice(options, option) == value.choice); break;
  case RF_VALUE_ONOFF: RF_FUZZ_HOLDS(rf_option_on(options, option) == value.on); break;
  case RF_VALUE_SIZE: RF_FUZZ_HOLDS(rf_option_bytes(options, option) == value.number); break;
  case RF_VALUE_NUMBER: RF_FUZZ_HOLDS(rf_option_number(options, option) == value.number); break;
  case RF_VALUE_DURATION: RF_FUZZ_HOLDS(rf_option_ns(options, option) == value.ns && value.ns > 0); break;
  case RF_VALUE_RATIO: RF_FUZZ_HOLDS(value.ratio <= 1 && value.ratio != 0); break;
  case RF_VALUE_TEXT: RF_FUZZ_HOLDS(rf_option_text(options, option) == shown); break;
  case RF_VALUE_LIST: {
    const struct rf_option_item *items;
    size_t count = rf_option_list(options, option, &items);
    for (size_t i = 0; i < count; i++) RF_FUZZ_HOLDS(*items[i].text && *items[i].origin);
  }
  }
}

static void check_options(const struct rf_options *options, int lines, int errors) {
  RF_FUZZ_HOLDS(lines <= errors && (lines > 0) == (errors > 0));
  for (int i = 0; i < RF_OPTION_COUNT; i++) check_option(options, (enum rf_option)i);
  const struct rf_function_setting *functions;
  for (size_t i = rf_option_functions(options, &functions); i-- > 0;)
    RF_FUZZ_HOLDS(functions[i].pattern && *functions[i].key && *functions[i].value && *functions[i].origin);
  const struct rf_span_setting *spans;
  for (size_t i = rf_option_spans(options, &spans); i-- > 0;)
    RF_FUZZ_HOLDS(spans[i].span && *spans[i].key && *spans[i].value && *spans[i].origin);
}
