/* The alert on resident memory (system.rss_alert): counted, and said once each time it is crossed upwards. */
#pragma once

#include "sample/reading.h"

/* Looks at the resident size of now. */
void rf_alert_look(struct rf_reading *reading, uint64_t rss_bytes);
/* 0: none. Any thread, signal-safe. */
void rf_alert_set(uint64_t bytes);
/* The log's descriptor in the app's table, for the sampler's thread, whose table is another; -1: none. */
void rf_alert_log_descriptor(int descriptor);
void rf_alert_forget(void);
