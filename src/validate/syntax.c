/* See syntax.h. */
#include "validate/syntax.h"

#include "validate/settings.h"

int rf_validate_syntax(const struct rf_options *options, void (*complain)(void *user, const char *message),
                       void *user) {
  struct rf_rule_sets sets = {.complain = complain, .user = user};
  rf_rule_sets_read(&sets, options);
  rf_pool_free(&sets.pool);
  return sets.complaints;
}
