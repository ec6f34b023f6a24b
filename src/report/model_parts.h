/* The parts that model.c puts together; each adds what one recording says to the report. */
#pragma once

#include "recording/reader.h"
#include "report/model.h"

struct rf_function_merge; /* opaque: what merging functions needs to remember between recordings */

struct rf_function_merge *rf_merge_functions_begin(struct rf_report *report);
void rf_merge_functions(struct rf_function_merge *merge, const struct rf_reader *reader);
/* Sorts by total time, computes quantiles and the like; the merge is gone afterwards. */
void rf_merge_functions_end(struct rf_function_merge *merge);

/* Violations and kept calls of one recording; targets: the report's function by id. */
void rf_merge_rules(struct rf_report *report, const struct rf_reader *reader, const size_t *targets,
                    size_t count);
void rf_merge_rules_end(struct rf_report *report);

/* process: the entry of report->process that this recording became. */
void rf_merge_heap(struct rf_report *report, const struct rf_reader *reader,
                   struct rf_report_process *process);
void rf_merge_system(struct rf_report *report, const struct rf_reader *reader,
                     struct rf_report_process *process);
void rf_merge_system_end(struct rf_report *report);

/* Durations in the recording's unit for a mode, to seconds. */
double rf_unit_seconds(const struct rf_header *header, uint32_t mode);
