/* Any bytes as a recording: opened as a file, and taken as the two copies of a living process's recording,
 * the second of which differs. Everything that the reader hands out is touched. */
// sources: src/recording/compose.c src/recording/live.c src/recording/process.c
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../src/recording/reader.c"
#include "../unit/recording_walk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One file in memory for all inputs. */
static int file(void) {
  static int fd = -1;
  if (fd < 0) fd = memfd_create("recording", MFD_CLOEXEC);
  return fd;
}

static void put(const void *data, size_t size) {
  if (ftruncate(file(), 0) || pwrite(file(), data, size, 0) != (ssize_t)size) abort();
}

static void as_file(void) {
  char path[32], error[256];
  snprintf(path, sizeof path, "/proc/self/fd/%d", file());
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  if (reader)
    walk_recording(reader);
  else if (!error[0])
    abort(); /* a refusal has a reason */
  rf_reader_close(reader);
}

/* What changed between the copies follows from the input itself: its end is gone, or a word of it differs. */
static void as_living(const uint8_t *data, size_t size) {
  struct rf_reader reader = {.path = (char *)(uintptr_t) "living", .alive = true};
  if (copy_file(&reader, file()) < 0) abort();
  unsigned change = data[size - 1] | data[size - 2] << 8;
  uint32_t word = data[size - 3] * 16u;
  if (change % 8 == 0 && ftruncate(file(), (off_t)(size - change / 8 % size))) abort();
  if (change % 8 && pwrite(file(), &word, sizeof word, (off_t)(change / 8 * 4 % size)) != sizeof word)
    abort();
  if (settle_copy(&reader, file()) == 0) walk_recording(&reader);
  drop_copy(&reader);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  put(data, size);
  as_file();
  if (size >= RF_HEADER_BYTES) as_living(data, size);
  return 0;
}
