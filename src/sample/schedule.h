/* When which source is read: the sampler's ticks, whoever's thread they run on. */
#pragma once

#include "sample/reading.h"
#include "sample/sampler.h"

/* Binds the plan to the recording; false without a recording, or when it is full. On an app thread. */
bool rf_schedule_prepare(const struct rf_sampler_plan *plan);
/* First values of all sources. own_thread: on the sampler's own. */
void rf_schedule_open(bool own_thread);
/* One tick: reads what is due, adds a point. */
void rf_schedule_tick(void);
/* The last tick and the totals of the end; the sources stay usable for another call of it. ending: the
 * process ends. */
void rf_schedule_close(bool own_thread, bool ending);
/* Why the sampler's part of the report stays null. */
void rf_schedule_absent(enum rf_absence what, const char *reason);
void rf_schedule_failed(enum rf_absence what, const char *file, long error);
/* Whether no thread of the app's is left: all ended without the process's end. Reads one file. */
bool rf_schedule_alone(void);
void rf_schedule_forget(void);
