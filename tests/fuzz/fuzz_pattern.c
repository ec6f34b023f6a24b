/* Lines of text: up to an empty line patterns, then symbols that meet them, each alone and all as a set;
 * likewise for the names that are near to them. */
// sources: src/elf/*.c src/base/*.c src/arch/x86_64/clone.S src/arch/x86_64/stack.S
// libraries: -lyaml -liberty -llzma
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "elf/demangle.h"
#include "elf/pattern.h"

#define HOLDS(condition)                                                                                     \
  do {                                                                                                       \
    if (!(condition)) abort();                                                                               \
  } while (0)

#define PATTERNS 16

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void mark(void *user, size_t index) {
  HOLDS(index < PATTERNS && !((bool *)user)[index]);
  ((bool *)user)[index] = true;
}

struct state {
  struct rf_pattern_set *all, *single[PATTERNS];
  struct rf_nearest_names *nearest[PATTERNS], *together[PATTERNS];
  struct rf_nearest_search *search;
};

static void add_pattern(struct state *state, const char *text) {
  char error[300] = "";
  size_t count = rf_pattern_count(state->all);
  if (count == PATTERNS) return;
  int index = rf_pattern_add(state->all, text, error, sizeof error);
  if (index < 0) {
    HOLDS(*error && !strchr(error, '\n') && rf_pattern_count(state->all) == count);
    return;
  }
  HOLDS((size_t)index == count);
  state->single[index] = rf_pattern_set_new();
  HOLDS(rf_pattern_add(state->single[index], text, error, sizeof error) == 0);
  HOLDS(strcmp(rf_pattern_text(state->all, count), rf_pattern_text(state->single[index], 0)) == 0);
  state->nearest[index] = rf_nearest_names_new(text);
  state->together[index] = rf_nearest_names_new(text);
}

/* A set decides for each pattern what it decides alone. */
static void meet(struct state *state, const char *symbol) {
  bool hits[PATTERNS] = {false};
  int first = -1;
  char buffer[4096];
  size_t length = rf_demangle(symbol, buffer, sizeof buffer);
  HOLDS(length == 0 || (length < sizeof buffer && strlen(buffer) == length));
  HOLDS(rf_symbol_base_length(symbol) <= strlen(symbol));
  rf_pattern_match_all(state->all, "libfuzz.so.1", symbol, mark, hits);
  for (int i = 0; i < PATTERNS; i++) {
    bool alone = state->single[i] && rf_pattern_match(state->single[i], "libfuzz.so.1", symbol) == 0;
    HOLDS(hits[i] == alone);
    if (alone && first < 0) first = i;
  }
  HOLDS(rf_pattern_match(state->all, "libfuzz.so.1", symbol) == first);
  for (int i = 0; i < PATTERNS; i++) rf_nearest_names_feed(state->nearest[i], symbol);
  rf_nearest_search_feed(state->search, symbol);
}

static void check_nearest(struct state *state) {
  for (int i = 0; i < PATTERNS; i++) {
    HOLDS(strcmp(rf_nearest_names_result(state->nearest[i]), rf_nearest_names_result(state->together[i])) ==
          0);
    rf_nearest_names_free(state->nearest[i]);
    rf_nearest_names_free(state->together[i]);
  }
  rf_nearest_search_free(state->search);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct state state = {.all = rf_pattern_set_new()};
  char *text = strndup((const char *)data, size), *rest = text, *line;
  bool symbols = false;
  for (int i = 0; i < 64 && (line = strsep(&rest, "\n")); i++) {
    if (!symbols && !*line) {
      symbols = true;
      state.search = rf_nearest_search_new(state.together, PATTERNS);
      HOLDS(state.search);
    } else if (symbols)
      meet(&state, line);
    else
      add_pattern(&state, line);
  }
  check_nearest(&state);
  for (int i = 0; i < PATTERNS; i++) rf_pattern_set_free(state.single[i]);
  rf_pattern_set_free(state.all);
  free(text);
  return 0;
}
