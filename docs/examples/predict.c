/*
 * ProbabilityValidator: a check in code, used by a monitor here and by name in rules (predict.yaml).
 *
 *   gcc -O1 -o predict predict.c
 *   refunc run -- ./predict                            the monitor counts violations, the program goes on
 *   refunc run --config predict.yaml -- ./predict      rules on the function itself
 */
#include <refunc.h>
#include <stdio.h>

static int probability(const struct refunc_value *value, void *user) {
  const double *p = value->data;
  (void)user;
  for (size_t i = 0; i < value->count; i++)
    if (!(p[i] >= 0 && p[i] <= 1))
      return refunc_violated(value, "%g at %zu: probabilities must be within [0, 1]", p[i], i);
  return 0;
}

__attribute__((noinline)) int predict_proba(const double *x, size_t n, double *out) {
  for (size_t i = 0; i < n; i++) out[i] = x[i] * x[i];
  return 0;
}

int main(void) {
  struct refunc_monitor monitor;
  struct refunc_result result;
  double good[] = {0.1, 0.5, 0.9}, bad[] = {0.1, 1.5, 0.9}, out[3];

  refunc_register_validator("probability", probability, NULL);
  refunc_monitor_begin(&monitor, "predictions", NULL);
  predict_proba(good, 3, out);
  refunc_monitor_validate_doubles(&monitor, "probability", "out", out, 3);
  predict_proba(bad, 3, out);
  refunc_monitor_validate_doubles(&monitor, "probability", "out", out, 3);
  if (refunc_monitor_end(&monitor, &result) == 0)
    printf("%lu of %lu violated, first %s\n", (unsigned long)result.violations,
           (unsigned long)result.validations, result.first_violation);
  printf("%g\n", out[1]);
  return 0;
}
