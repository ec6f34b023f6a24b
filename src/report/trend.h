/*
 * Whether a series grows steadily. The Mann-Kendall test asks how much oftener a later value is above an
 * earlier one than below it, with no assumption on how it grows; the slope is the median of the slopes
 * between all pairs of points, which single jumps don't move. What rose once and then stays is no growth: the
 * later half must grow by itself.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "report/model.h"

/* Fewer points say nothing. */
#define RF_TREND_LEAST 8

/* false: too few points. confidence: that the series grows, 0 to 1; growth: of the later half. */
bool rf_trend_of(const float *time_s, const float *value, size_t count, struct rf_report_trend *trend);
