/* Any bytes as config file. */
// sources: src/base/*.c
// libraries: -lyaml
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int file = -1;
  static char path[64];
  if (file < 0) file = memfd_create("refunc.yaml", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  RF_FUZZ_HOLDS(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
  int errors = 0, lines = 0;
  const struct rf_option_sources sources = {NULL, NULL, path};
  struct rf_options *options = rf_options_load(&sources, complaint, &lines, &errors);
  check_options(options, lines, errors);
  rf_options_free(options);
  return 0;
}
