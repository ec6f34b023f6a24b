/* Whether rules and spans are well-formed, without knowing any function: for the tool. */
#pragma once

struct rf_options;

/* complain receives "origin: key: what". Answers how often. */
int rf_validate_syntax(const struct rf_options *options, void (*complain)(void *user, const char *message),
                       void *user);
