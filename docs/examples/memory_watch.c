/*
 * memory_monitor and MemoryLeakDetector: an alert when resident memory crosses a size, and growth that goes
 * on.
 *
 *   gcc -O2 -pthread -o memory_watch memory_watch.c
 *   refunc run -- ./memory_watch
 */
#include <refunc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static volatile int alerted;
static char *volatile kept;

static void too_much(const struct refunc_memory *memory, void *user) {
  (void)user;
  alerted = memory->rss_bytes > 64u << 20;
}

/* Keeps 1,000 bytes of every request. */
static void handle_request(void) {
  char *answer = malloc(5000);
  memset(answer, 1, 5000);
  kept = malloc(1000);
  kept[0] = answer[0];
  free(answer);
}

int main(void) {
  struct refunc_memory memory;
  struct refunc_leak_report report;

  refunc_on_memory_alert(64 << 20, too_much, NULL);
  char *large = malloc(100 << 20);
  memset(large, 1, 100 << 20);
  for (int i = 0; i < 500 && refunc_active() && !alerted; i++) usleep(10000);
  if (alerted) puts("above 64 MiB");
  free(large);
  if (refunc_get_memory(&memory) == 0) printf("peak %lu MiB\n", (unsigned long)(memory.peak_rss_bytes >> 20));

  refunc_leak_baseline();
  for (int i = 0; i < 50; i++) {
    handle_request();
    refunc_leak_sample();
  }
  if (refunc_leak_check(10000, &report) == 1)
    printf("leaking: %ld bytes in %lu looks, confidence %.2f\n", (long)report.growth_bytes,
           (unsigned long)report.samples, report.confidence);
  return 0;
}
