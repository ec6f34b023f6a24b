/*
 * Thread-local destructors, atexit handlers and static destructors that allocate, free and call traced functions at the very end.
 * flags: -O2 -pthread
 * trace: late
 * expect: 1 <= r.calls("late") <= 12
 * expect: r["heap"]["live_bytes"] >= 0
 */
#include <pthread.h>
#include <string>
#include <thread>
#include <vector>

#include "case.h"

extern "C" TRACED int late(int x) {
  std::vector<std::string> some(100, std::string(100, 'x'));
  return int(some[5].size()) + x;
}

struct AtEnd {
  std::vector<int> held = std::vector<int>(1000, 1);
  ~AtEnd() {
    REQUIRE(late(1) == 101);
    held.clear();
    held.shrink_to_fit();
    free(malloc(100));
  }
};
static AtEnd at_static_end;
static thread_local AtEnd at_thread_end;
static void at_exit() { REQUIRE(late(2) == 102); }
__attribute__((destructor)) static void at_unload() { REQUIRE(late(3) == 103); }

int main() {
  atexit(at_exit);
  at_thread_end.held.push_back(2);
  for (int i = 0; i < 5; i++) std::thread([] { at_thread_end.held.push_back(1); }).join();
  pthread_key_t key;
  pthread_key_create(&key, [](void *block) { free(block); });
  pthread_setspecific(key, malloc(50));
  puts("main ends");
}
