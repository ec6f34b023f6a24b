/*
 * The timeline: at most RF_TIMELINE_POINTS points over the process's whole life.
 *
 *   table A  [p0 p1 p2 ... p599]  full
 *   table B  [p0+p1, p2+p3, ...]  300 points, each twice as long; then current_timeline = B, and on it goes
 *   table A  is emptied and takes the next joining
 *
 * A reader that walks the valid table never sees a joining half done. The last point is filled in place, so
 * that a process that is killed loses none.
 */
#pragma once

#include "sample/reading.h"

/* Adds one tick's values, which covered start_ns to reading->now_ns, and its means to the recording's. */
void rf_timeline_add(struct rf_reading *reading, int64_t start_ns);
/* Forgets the tables of a recording that is gone. */
void rf_timeline_forget(void);
