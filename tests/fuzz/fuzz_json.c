/* Any bytes as a JSON report, as compare reads it. */
// sources: src/report/*.c src/recording/reader.c src/recording/complete.c src/recording/compose.c
// sources: src/recording/folder.c src/recording/live.c src/recording/place.c src/recording/process.c
// sources: src/recording/runs.c src/base/*.c src/elf/demangle.c src/elf/spare_stack.c src/arch/x86_64/stack.S
// libraries: -ldw -ljansson -lyaml -lm -liberty -lz
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report/compare.h"
#include "report/load.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever loads can be compared with itself, without a difference, in every form. */
static void compare_with_itself(struct rf_report *report) {
  const struct rf_style style = {.width = 100};
  struct rf_buffer out = {0};
  struct rf_comparison *c = rf_compare(&report, 1, &report, 1, 0.25);
  if (c->regressed || c->improved || c->only_bases || c->only_freshes) abort();
  rf_comparison_text(&out, c, &style);
  rf_comparison_json(&out, c);
  rf_comparison_markdown(&out, c);
  rf_comparison_junit(&out, c);
  if (strchr(out.bytes, '\033') || strlen(out.bytes) != out.length) abort();
  rf_buffer_free(&out);
  rf_comparison_free(c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  char error[256] = "";
  struct rf_report *report = rf_json_load((const char *)data, size, "fuzz.json", error, sizeof error);
  if (!report) {
    if (!*error) abort();
    return 0;
  }
  for (size_t i = 0; i < report->functions; i++)
    if (!report->function[i].name || isinf(report->function[i].mean_s)) abort();
  compare_with_itself(report);
  rf_report_free(report);
  return 0;
}
