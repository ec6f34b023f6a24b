/* See trend.h. */
#include "report/trend.h"

#include <math.h>
#include <stdlib.h>

#include "recording/format.h"

/* The variance of S, less what ties take. */
static double variance(const float *value, size_t count) {
  double n = (double)count, sum = n * (n - 1) * (2 * n + 5);
  for (size_t i = 0; i < count; i++) {
    size_t before = 0, same = 0;
    for (size_t j = 0; j < count; j++) {
      before += j < i && value[j] == value[i];
      same += value[j] == value[i];
    }
    double t = (double)same;
    if (!before) sum -= t * (t - 1) * (2 * t + 5);
  }
  return sum / 18;
}

static double confidence(const float *value, size_t count) {
  double s = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t j = i + 1; j < count; j++) s += (value[j] > value[i]) - (value[j] < value[i]);
  double deviation = sqrt(variance(value, count));
  if (!(deviation > 0)) return 0;
  double z = (s > 0 ? s - 1 : s < 0 ? s + 1 : 0) / deviation;
  return 0.5 * erfc(-z / M_SQRT2);
}

static int by_value(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double slope(const float *time_s, const float *value, size_t count) {
  double slopes[RF_HISTORY_POINTS * RF_HISTORY_POINTS / 2];
  size_t found = 0;
  for (size_t i = 0; i < count; i++)
    for (size_t j = i + 1; j < count; j++)
      if (time_s[j] > time_s[i])
        slopes[found++] = ((double)value[j] - value[i]) / ((double)time_s[j] - time_s[i]);
  if (!found) return 0;
  qsort(slopes, found, sizeof *slopes, by_value);
  return slopes[found / 2];
}

static float lowest(const float *value, size_t from, size_t to) {
  float low = value[from];
  for (size_t i = from; i < to; i++) low = fminf(low, value[i]);
  return low;
}

/* What goes up and down has a floor; of what grows steadily that of each quarter lies above the one before,
 * and the last one's above the first one's by a good part of all there is. What fills up ever more slowly
 * comes to an end: of a steady growth the last step is like the one before. */
static bool floor_rises(const float *value, size_t count) {
  float floor[4], high = value[0];
  for (size_t i = 0; i < count; i++) high = fmaxf(high, value[i]);
  for (size_t i = 0; i < 4; i++) floor[i] = lowest(value, i * count / 4, (i + 1) * count / 4);
  bool rises = floor[0] < floor[1] && floor[1] < floor[2] && floor[2] < floor[3];
  bool fades = floor[3] - floor[2] < 0.3f * (floor[2] - floor[1]);
  return rises && !fades && floor[3] - floor[0] >= 0.3f * (high - lowest(value, 0, count));
}

bool rf_trend_of(const float *time_s, const float *value, size_t count, struct rf_report_trend *trend) {
  if (count < RF_TREND_LEAST || count > RF_HISTORY_POINTS) return false;
  size_t half = count / 2;
  double whole = confidence(value, count), later = confidence(value + half, count - half);
  trend->confidence = !floor_rises(value, count) ? 0 : whole < later ? whole : later;
  trend->growth_bytes_per_s = slope(time_s + half, value + half, count - half);
  return true;
}
