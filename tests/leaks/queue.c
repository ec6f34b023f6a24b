/* Threads that hand messages on through a queue until the very end; every hundredth is dropped. Reallocated
 * all the time: the queue. */
#include <pthread.h>

#include "leaks.h"

enum { PRODUCERS = 3, EACH = 4000 };

NOINLINE static void *kept_queue(void *from, size_t bytes) { return realloc(from, bytes); }
ALLOCATES(kept_message)
ALLOCATES(lost_message)

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
void **queue;
static size_t count;
static volatile int done, dropped;

static void push(void *message) {
  pthread_mutex_lock(&lock);
  queue = kept_queue(queue, (count + 1) * sizeof *queue);
  queue[count++] = message;
  pthread_mutex_unlock(&lock);
}

NOINLINE static void drop(void) {
  *(volatile char *)lost_message(64) = 1;
  __sync_fetch_and_add(&dropped, 1);
}

static void *produce(void *unused) {
  for (int i = 0; i < EACH; i++) {
    push(kept_message(64));
    if (i % 100 == 0) drop();
  }
  clear_stack();
  __sync_fetch_and_add(&done, 1);
  for (;;) { /* at the end of the process one of these is in realloc, or has the lock */
    pthread_mutex_lock(&lock);
    queue = kept_queue(queue, (count + 1 + (size_t)rand() % 512) * sizeof *queue);
    pthread_mutex_unlock(&lock);
  }
  return unused;
}

int main(void) {
  pthread_t thread;
  for (int i = 0; i < PRODUCERS; i++) pthread_create(&thread, NULL, produce, NULL);
  while (done < PRODUCERS) usleep(1000);
  clear_stack();
  lost("lost_message", dropped);
  exit(0);
}
