/* The machine, as the recording describes it already; and the options in effect. */
#include "api/facts.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "recording/walk.h"

static const char *text_at(rf_ref ref) {
  const struct rf_string *string = rf_recording_at(ref);
  return string ? string->bytes : "";
}

static const char *fact(const char *key) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_FACT));
  const struct rf_fact_entry *entry;
  while ((entry = rf_walk_next(&walk)))
    if (strcmp(text_at(entry->key), key) == 0) return text_at(entry->value);
  return "";
}

const char *rf_api_option(const char *key) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_OPTION));
  const struct rf_option_entry *entry;
  while ((entry = rf_walk_next(&walk)))
    if (strcmp(text_at(entry->key), key) == 0) return text_at(entry->value);
  return "";
}

static void copy(char *to, size_t room, const char *text) {
  size_t length = strlen(text);
  if (length >= room) length = room - 1;
  memcpy(to, text, length);
  to[length] = 0;
}

static uint64_t number(const char *text) { return *text ? strtoull(text, NULL, 10) : REFUNC_UNKNOWN; }

static double real(const char *text) { return *text ? strtod(text, NULL) : NAN; }

static int yes_or_no(const char *text) { return *text ? strcmp(text, "yes") == 0 : -1; }

static void find_gpus(struct refunc_system_info *info) {
  struct rf_walk walk = rf_walk_begin(*rf_recording_root(RF_TABLE_GPU));
  const struct rf_gpu_entry *entry;
  while ((entry = rf_walk_next(&walk)))
    if (!info->gpu_count++) copy(info->gpu, sizeof info->gpu, text_at(entry->name));
}

int rf_api_get_system_info(struct refunc_system_info *info) {
  struct refunc_system_info all = {.cpu_count = number(fact("cpu_count")),
                                   .memory_bytes = number(fact("memory_bytes")),
                                   .cpu_limit = real(fact("cpu_limit")),
                                   .load_1m = real(fact("load_1m")),
                                   .virtual_machine = yes_or_no(fact("virtual_machine"))};
  copy(all.os, sizeof all.os, fact("os"));
  copy(all.libc_version, sizeof all.libc_version, fact("libc_version"));
  copy(all.cpu_governor, sizeof all.cpu_governor, fact("cpu_governor"));
  find_gpus(&all);
  copy(all.hostname, sizeof all.hostname, fact("hostname"));
  copy(all.kernel, sizeof all.kernel, fact("kernel"));
  copy(all.cpu_model, sizeof all.cpu_model, fact("cpu_model"));
  copy(all.refunc_version, sizeof all.refunc_version, REFUNC_VERSION);
  rf_api_fill(info, &all, sizeof all);
  return 0;
}
