/*
 * C++20 coroutines: each resumption is a call of its own.
 * flags: -O2 -std=c++20
 * flags: -O0 -std=c++20
 * trace: produce, consume
 * calls: produce 10
 * calls: consume 1000
 */
#include <coroutine>

#include "case.h"

struct Generator {
  struct promise_type {
    int value;
    Generator get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    std::suspend_always yield_value(int v) { return value = v, std::suspend_always{}; }
    void return_void() {}
    void unhandled_exception() { std::abort(); }
  };
  std::coroutine_handle<promise_type> handle;
};

extern "C" TRACED int consume(int x) { return x * 2; }
TRACED Generator produce(int count) {
  for (int i = 0; i < count; i++) co_yield consume(i);
}

int main() {
  for (int round = 0; round < 10; round++) {
    Generator generator = produce(100);
    int sum = 0;
    for (generator.handle.resume(); !generator.handle.done(); generator.handle.resume()) sum += generator.handle.promise().value;
    generator.handle.destroy();
    REQUIRE(sum == 9900);
  }
}
