/* Rules, declarations, descriptions of types and automata from any bytes; what is read compiles or says why
 * not. */
// sources: src/validate/language.c src/validate/automaton.c src/validate/signature.c
// sources: src/validate/description.c src/validate/type.c src/arch/x86_64/arguments.c src/base/pool.c
// sources: src/base/nearest.c
// libraries: -lm
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "validate/automaton.h"
#include "validate/language.h"
#include "validate/type.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char error[300];
  struct rf_pool pool = {0};
  struct rf_rules rules;
  struct rf_signature signature;
  struct rf_descriptions descriptions;
  struct rf_on_violation reaction;
  struct rf_condition condition;
  if (!size) return 0;
  char *text = malloc(size);
  memcpy(text, data + 1, size - 1);
  text[size - 1] = '\0';
  switch (data[0] % 6) {
  case 0: rf_rules_parse(text, &pool, &rules, error, sizeof error); break;
  case 1: rf_signature_parse(text, &pool, &signature, error, sizeof error); break;
  case 2: rf_descriptions_parse(text, size - 1, &pool, &descriptions); break;
  case 3: rf_reaction_parse(text, &pool, &reaction, error, sizeof error); break;
  case 4: rf_condition_parse(text, &pool, &condition, error, sizeof error); break;
  case 5:
    if (size < 40) rf_automaton_free(rf_automaton_new(text, error, sizeof error));
    break;
  }
  rf_pool_free(&pool);
  free(text);
  return 0;
}
