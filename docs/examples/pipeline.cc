/*
 * The same in C++, where blocks and monitors end with their scope, by exceptions too.
 *
 *   g++ -std=c++17 -O2 -o pipeline_cc pipeline.cc
 *   refunc run -- ./pipeline_cc
 */
#include <refunc.h>

#include <cstdio>
#include <stdexcept>
#include <vector>

static double transform(std::vector<double> &data) {
  REFUNC_SCOPE("transform");
  double sum = 0;
  for (double &value : data) sum += value = value * 2 + 1;
  if (data.size() % 2) throw std::runtime_error("odd");
  return sum;
}

int main() {
  refunc::monitor monitor("vectorized_pipeline");
  for (std::size_t size : {100000, 99999}) {
    std::vector<double> data(size);
    try {
      std::printf("%g\n", transform(data));
    } catch (const std::exception &error) {
      std::printf("%s\n", error.what());
    }
  }
  refunc_result result = {};
  char summary[256] = "";
  if (monitor.end(&result) == 0 && refunc_result_summary(&result, summary, sizeof summary) > 0)
    std::puts(summary);
}
