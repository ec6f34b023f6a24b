/*
 * Validators: checks in code, registered by the app (refunc_register_validator), or in a shared object that a
 * rule names by its absolute path (validator /opt/rules.so:probabilities). A rule may name one that is
 * registered later; until then it is not checked.
 *
 * They run on the calling thread with hooks off, on a stack of about 20 KB of Refunc's; vector registers are
 * theirs to use. They may not throw out, longjmp out, or call functions that carry rules.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What a validator is shown. size: of this struct as the caller knows it. */
struct rf_validator_value {
  size_t size;
  const char *function, *parameter;
  int kind; /* 0 signed, 1 unsigned, 2 floating-point, 3 long double, 4 bytes of a struct */
  int64_t integer;
  double real;
  const void *data; /* the elements, or the value's own bytes; readable as of now */
  size_t count, element_size;
  char *message; /* room for what is wrong, in the validator's words; holds "" */
  size_t message_bytes;
};
#define RF_MESSAGE_BYTES 120u

/* 0: good; anything else is a violation. */
typedef int rf_validator_function(const struct rf_validator_value *value, void *user);

struct rf_validator_slot {
  const char *name;
  rf_validator_function *function; /* NULL: not registered yet */
  void *user;
  struct rf_validator_slot *next;
};

/* Registers or replaces. function NULL takes it away. false without memory. Any thread, not in signal
 * handlers. */
bool rf_validator_register(const char *name, rf_validator_function *function, void *user);

/* The slot of a name, made when it is new; a name that begins with '/' is PLUGIN:FUNCTION and loaded now.
 * NULL with one line in error. */
const struct rf_validator_slot *rf_validator_find(const char *name, char *error, size_t error_bytes);

/* A function of a shared object; NULL with one line in error. Loader calls: at start only. */
void *rf_plugin_find(const char *path, const char *function, char *error, size_t error_bytes);
