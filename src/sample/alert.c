/*
 * See alert.h. A crossing counts when memory was below the threshold before; it must fall by a thirty-second
 * of it first, so that a size that trembles at the threshold is one crossing.
 *
 * The line goes where the log goes. The sampler's thread has no descriptor of the app's, and must not keep
 * one: it would hold a pipe open that the app has closed. So it borrows the log's for the one line, under the
 * same number.
 */
#include "sample/alert.h"

#include <limits.h>
#include <linux/futex.h>
#include <time.h>

#include "arch/arch.h"
#include "base/log.h"
#include "sample/descriptors.h"
#include "sample/sampler.h"

static uint64_t threshold;
static uint32_t crossings; /* a futex, too */
static bool above;
static int log_descriptor = -1;

void rf_alert_set(uint64_t bytes) { __atomic_store_n(&threshold, bytes, __ATOMIC_RELAXED); }
void rf_alert_log_descriptor(int descriptor) { log_descriptor = descriptor; }

void rf_alert_forget(void) {
  crossings = 0;
  above = false;
}

static void say(struct rf_reading *r, const char *line) {
  bool borrowed = r->own_thread && rf_descriptors_borrow(log_descriptor);
  if (borrowed || !r->own_thread) rf_log_plain(RF_LOG_WARN, line);
  if (borrowed) rf_descriptors_give_back(log_descriptor);
}

static void crossed(struct rf_reading *r, uint64_t rss_bytes, uint64_t limit) {
  char bytes[160];
  struct rf_note line = rf_note_in(bytes, sizeof bytes);
  rf_reading_gauge(r, &r->totals->rss_alerts, __atomic_add_fetch(&crossings, 1, __ATOMIC_RELEASE));
  rf_syscall(SYS_futex, &crossings, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX);
  rf_note_add(&line, "resident memory is ");
  rf_note_add_bytes(&line, rss_bytes);
  rf_note_add(&line, ", above system.rss_alert = ");
  rf_note_add_bytes(&line, limit);
  say(r, bytes);
}

void rf_alert_look(struct rf_reading *r, uint64_t rss_bytes) {
  uint64_t limit = __atomic_load_n(&threshold, __ATOMIC_RELAXED);
  rf_reading_gauge(r, &r->totals->rss_alerts, crossings);
  if (limit == 0) return;
  if (above && rss_bytes < limit - limit / 32) above = false;
  if (above || rss_bytes <= limit) return;
  above = true;
  crossed(r, rss_bytes, limit);
}

uint32_t rf_sampler_alerts(void) { return __atomic_load_n(&crossings, __ATOMIC_ACQUIRE); }

void rf_sampler_set_rss_alert(uint64_t bytes) { rf_alert_set(bytes); }

uint32_t rf_sampler_await_alert(uint32_t seen, int64_t timeout_ns) {
  struct timespec timeout = {timeout_ns / 1000000000, timeout_ns % 1000000000};
  if (rf_sampler_alerts() == seen)
    rf_syscall(SYS_futex, &crossings, FUTEX_WAIT | FUTEX_PRIVATE_FLAG, seen, &timeout);
  return rf_sampler_alerts();
}
