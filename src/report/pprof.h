/* Allocation sites as a profile of pprof (profile.proto, gzipped), for go tool pprof, speedscope, Pyroscope
 * and the like: objects and bytes allocated, in use at the end, and in use at the peak. */
#pragma once

#include "report/buffer.h"
#include "report/model.h"

void rf_pprof_report(struct rf_buffer *out, struct rf_report *report);
