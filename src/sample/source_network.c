/*
 * Network: the counters of the process's network namespace, all interfaces added up (loopback included, as
 * psutil's total does). An interface that vanishes takes its counts along: that moment is left out, totals
 * never run backwards.
 */
#include <errno.h>

#include "sample/reading.h"

static struct rf_counter sent, received;
static struct { uint64_t sent, received; } since; /* the start, over all moments that could be used */

static void forget_network(void) {
  sent = received = (struct rf_counter){0};
  since.sent = since.received = 0;
}

/* "  eth0: bytes packets errs drop fifo frame compressed multicast  bytes ..." */
static bool parse_interface(struct rf_scan line, uint64_t *in, uint64_t *out) {
  struct rf_scan name;
  uint64_t number;
  if (!rf_scan_until(&line, ':', &name) || !rf_scan_number(&line, in)) return false;
  for (int i = 0; i < 7; i++)
    if (!rf_scan_number(&line, &number)) return false;
  return rf_scan_number(&line, out);
}

static long parse(struct rf_scan text, uint64_t *in, uint64_t *out) {
  struct rf_scan line;
  *in = *out = 0;
  for (int i = 0; i < 2; i++)
    if (!rf_scan_line(&text, &line)) return -EBADMSG;
  while (rf_scan_line(&text, &line)) {
    uint64_t more_in, more_out;
    if (!parse_interface(line, &more_in, &more_out))
      continue; /* cut off at the buffer's end, or not an interface */
    *in += more_in;
    *out += more_out;
  }
  return 0;
}

/* Adds a counter's growth to its sum; nothing where it ran backwards. */
static double advance(struct rf_reading *r, struct rf_counter *counter, uint64_t value, uint64_t *sum) {
  if (counter->known && value > counter->last) *sum += value - counter->last;
  return rf_counter_rate(counter, value, r->now_ns);
}

static void read_network(struct rf_reading *r) {
  struct rf_scan text;
  uint64_t in = 0, out = 0;
  long error = rf_reading_often(r, r->proc_root, "/self/net/dev", true, &text);
  if (error == 0) error = parse(text, &in, &out);
  if (error < 0) {
    rf_reading_failed(r, RF_ABSENT_NAMESPACE, "/proc/self/net/dev", error);
    return;
  }
  rf_reading_set(r, RF_METRIC_NET_SENT, advance(r, &sent, out, &since.sent));
  rf_reading_set(r, RF_METRIC_NET_RECEIVED, advance(r, &received, in, &since.received));
  rf_reading_total(r, &r->totals->net_sent_bytes, since.sent);
  rf_reading_total(r, &r->totals->net_received_bytes, since.received);
}

static bool open_network(struct rf_reading *r) {
  read_network(r);
  return true;
}

const struct rf_source rf_source_network = {.name = "system.network.namespace",
                                            .period_ns = 200000000,
                                            .open = open_network,
                                            .read = read_network,
                                            .forget = forget_network};
