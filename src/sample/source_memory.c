/*
 * Memory: resident size from statm at every tick, faults from getrusage, the high-water mark once a second
 * from status (getrusage's would carry over from whatever the process ran before exec), PSS once, at exit:
 * smaps_rollup walks every page table entry (measured: 30 to 50 ms a GiB) while holding the process's memory
 * map.
 */
#include <errno.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "sample/alert.h"
#include "sample/reading.h"

#define PSS_LIMIT (512ull << 20) /* resident bytes up to which PSS is read at exit */
#define ABSURD (1ull << 56)      /* no address space is that large */

static struct rf_counter major, minor;

static void forget_memory(void) { major = minor = (struct rf_counter){0}; }

static void read_faults(struct rf_reading *r) {
  struct rusage use;
  if (rf_syscall(SYS_getrusage, RUSAGE_SELF, &use) < 0) return;
  uint64_t majors = rf_less((uint64_t)use.ru_majflt, r->own.major_faults);
  uint64_t minors = rf_less((uint64_t)use.ru_minflt, r->own.minor_faults);
  rf_reading_set(r, RF_METRIC_MAJOR_FAULTS, rf_counter_rate(&major, majors, r->now_ns));
  rf_reading_set(r, RF_METRIC_MINOR_FAULTS, rf_counter_rate(&minor, minors, r->now_ns));
  rf_reading_total(r, &r->totals->major_faults, rf_counter_total(&major, r->whole_life));
  rf_reading_total(r, &r->totals->minor_faults, rf_counter_total(&minor, r->whole_life));
}

static long resident(struct rf_reading *r, uint64_t *bytes) {
  struct rf_scan text;
  uint64_t size, pages;
  long error = rf_reading_often(r, r->proc_root, "/self/statm", false, &text);
  if (error < 0) return error;
  if (!rf_scan_number(&text, &size) || !rf_scan_number(&text, &pages)) return -EBADMSG;
  if (pages > ABSURD / r->page_bytes || pages > size) return -ERANGE;
  *bytes = pages * r->page_bytes;
  return 0;
}

static void read_memory(struct rf_reading *r) {
  uint64_t bytes;
  read_faults(r);
  long error = resident(r, &bytes);
  if (error < 0) {
    rf_reading_failed(r, RF_ABSENT_MEMORY, "/proc/self/statm", error);
    return;
  }
  r->rss_bytes = bytes;
  r->header->rss_look[r->header->rss_looks % RF_RSS_LOOKS] = bytes;
  __atomic_store_n(&r->header->rss_looks, r->header->rss_looks + 1, __ATOMIC_RELEASE);
  rf_reading_set(r, RF_METRIC_RSS, (double)bytes);
  rf_reading_total(r, &r->totals->peak_rss_bytes, bytes);
  rf_alert_look(r, bytes);
}

static bool open_memory(struct rf_reading *r) {
  read_memory(r);
  return true;
}

const struct rf_source rf_source_memory = {
    .name = "system.memory", .open = open_memory, .read = read_memory, .forget = forget_memory};

static void read_peak(struct rf_reading *r) {
  struct rf_scan text;
  uint64_t kib;
  if (rf_reading_file(r, r->proc_root, "/self/status", false, &text) < 0) return;
  if (rf_scan_key(text, "VmHWM:", &kib) && kib < ABSURD / 1024)
    rf_reading_total(r, &r->totals->peak_rss_bytes, kib * 1024);
}

static long proportional(struct rf_reading *r, uint64_t *bytes) {
  struct rf_scan text;
  uint64_t kib;
  if (r->rss_bytes > PSS_LIMIT) return -EFBIG;
  long error = rf_reading_file(r, r->proc_root, "/self/smaps_rollup", true, &text);
  if (error < 0) return error;
  if (!rf_scan_key(text, "Pss:", &kib)) return -EBADMSG;
  if (kib >= ABSURD / 1024) return -ERANGE;
  *bytes = kib * 1024;
  return 0;
}

static void close_peak(struct rf_reading *r) {
  uint64_t bytes;
  read_peak(r);
  long error = proportional(r, &bytes);
  if (error < 0)
    rf_reading_failed(r, RF_ABSENT_PSS, "/proc/self/smaps_rollup", error);
  else
    rf_reading_gauge(r, &r->totals->pss_bytes, bytes);
}

const struct rf_source rf_source_peak = {
    .name = "system.memory", .period_ns = 1000000000, .read = read_peak, .close = close_peak};
