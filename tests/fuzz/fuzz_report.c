/* Any bytes as a recording, through the model into every form of the report. */
// sources: src/report/*.c src/recording/reader.c src/recording/complete.c src/recording/compose.c
// sources: src/recording/folder.c src/recording/live.c src/recording/place.c src/recording/process.c
// sources: src/recording/runs.c src/base/*.c src/elf/demangle.c src/elf/spare_stack.c src/arch/x86_64/stack.S
// libraries: -ldw -ljansson -lyaml -lm -liberty -lz
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "recording/reader.h"
#include "report/csv.h"
#include "report/json.h"
#include "report/load.h"
#include "report/openmetrics.h"
#include "report/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Lines within the width, nothing that a terminal would obey. */
static void check_text(const struct rf_report *report, int width) {
  const struct rf_text_plan plan = {.style = {.width = width}};
  struct rf_buffer out = {0};
  size_t column = 0;
  rf_text_report(&out, report, &plan);
  for (size_t i = 0; i < out.length; i++) {
    unsigned char c = (unsigned char)out.bytes[i];
    column = c == '\n' ? 0 : column + 1;
    if (column <= (size_t)width && (c == '\n' || (c >= 0x20 && c < 0x7f))) continue;
    fprintf(stderr, "width %d: %s\n", width, out.bytes + i - (column ? column - 1 : 0));
    abort();
  }
  rf_buffer_free(&out);
}

/* What is written as JSON is JSON, and loads again. */
static void check_json(struct rf_report *report) {
  struct rf_buffer out = {0};
  char error[256] = "";
  rf_json_report(&out, report);
  struct rf_report *back = rf_json_load(out.bytes, out.length, "x", error, sizeof error);
  if (!back) abort();
  if (back->functions != report->functions) abort();
  rf_report_free(back);
  rf_buffer_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static int file = -1;
  static char path[64];
  char error[512];
  if (file < 0) file = memfd_create("recording", MFD_CLOEXEC);
  snprintf(path, sizeof path, "/proc/self/fd/%d", file);
  if (ftruncate(file, 0) < 0 || pwrite(file, data, size, 0) != (ssize_t)size) abort();
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  if (!reader) return 0;
  struct rf_reader *twice[] = {reader, reader};
  for (size_t count = 1; count <= 2; count++) {
    struct rf_report *report = rf_report_build(twice, count);
    struct rf_buffer out = {0};
    check_text(report, 100);
    check_text(report, 60);
    check_json(report);
    rf_csv_report(&out, report, true);
    rf_openmetrics_report(&out, &report, 1);
    rf_buffer_free(&out);
    rf_report_free(report);
  }
  rf_reader_close(reader);
  return 0;
}
