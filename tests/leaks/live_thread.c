/* A thread that waits: what is on its stack, and what its start was given, is kept; what it dropped is lost.
 */
#include <pthread.h>
#include <semaphore.h>

#include "leaks.h"

ALLOCATES(lost_by_live_thread)
ALLOCATES(kept_on_its_stack)
ALLOCATES(kept_as_argument)

static sem_t ready, never;

NOINLINE static void drop(void) {
  for (int i = 0; i < 20; i++) *(volatile char *)lost_by_live_thread(300) = 1;
}

static void *work(void *argument) {
  void *volatile kept = kept_on_its_stack(128);
  drop();
  clear_stack();
  sem_post(&ready);
  sem_wait(&never);
  return kept ? argument : NULL;
}

int main(void) {
  pthread_t thread;
  sem_init(&ready, 0, 0), sem_init(&never, 0, 0);
  for (int i = 0; i < 3; i++) pthread_create(&thread, NULL, work, kept_as_argument(64));
  for (int i = 0; i < 3; i++) sem_wait(&ready);
  clear_stack();
  lost("lost_by_live_thread", 60);
  exit(0);
}
