/*
 * pthread_exit and pthread_cancel unwind through traced frames and run their cleanups.
 * flags: -O2 -pthread
 * flags: -O0 -pthread
 * trace: leaves, waits, outer
 * option: timing.budget=off
 * calls: leaves 20
 * unwound: leaves 20
 * calls: waits 20
 * unwound: waits 20
 * calls: outer 40
 * unwound: outer 40
 */
#include <pthread.h>
#include <semaphore.h>
#include <unistd.h>

#include "case.h"

static int cleaned;
static sem_t inside;
struct Cleanup {
  ~Cleanup() { __atomic_fetch_add(&cleaned, 1, __ATOMIC_SEQ_CST); }
};

extern "C" {
TRACED void leaves(void) {
  Cleanup cleanup;
  pthread_exit((void *)7);
}
TRACED void waits(void) {
  Cleanup cleanup;
  sem_post(&inside);
  for (;;) pause();
}
TRACED void outer(int how) {
  Cleanup cleanup;
  how ? waits() : leaves();
  puts("never");
}
}

static void *run(void *how) {
  outer(how != nullptr);
  return nullptr;
}

int main() {
  sem_init(&inside, 0, 0);
  for (int i = 0; i < 40; i++) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, nullptr, run, i % 2 ? &inside : nullptr);
    if (i % 2) sem_wait(&inside), pthread_cancel(thread);
    pthread_join(thread, &result);
    REQUIRE(result == (i % 2 ? PTHREAD_CANCELED : (void *)7));
  }
  REQUIRE(cleaned == 80);
}
