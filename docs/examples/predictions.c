/*
 * Work that begins on one thread and ends on another: requests go into a queue, a worker answers them out of
 * order.
 *
 *   gcc -O2 -pthread -o predictions predictions.c
 *   refunc run -- ./predictions                                 the spans that the program marks itself
 *   refunc run --config predictions.yaml -- ./predictions       and those between two of its functions, joined by
 *                                                               an argument
 */
#include <pthread.h>
#include <refunc.h>
#include <stdio.h>
#include <time.h>

#define REQUESTS 60

static int queue[REQUESTS], queued;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;

__attribute__((noinline)) void submit(long request) {
  refunc_async_begin("prediction", (uint64_t)request);
  pthread_mutex_lock(&lock);
  queue[queued++] = (int)request;
  pthread_cond_signal(&more);
  pthread_mutex_unlock(&lock);
}

__attribute__((noinline)) void complete(long request) { refunc_async_end("prediction", (uint64_t)request); }

static void *answer(void *unused) {
  for (int done = 0; done < REQUESTS; done++) {
    pthread_mutex_lock(&lock);
    while (!queued) pthread_cond_wait(&more, &lock);
    int request = queue[--queued]; /* the newest first */
    pthread_mutex_unlock(&lock);
    struct timespec inference = {0, 1000000};
    nanosleep(&inference, NULL);
    complete(request);
  }
  return unused;
}

int main(void) {
  pthread_t worker;
  pthread_create(&worker, NULL, answer, NULL);
  for (long request = 1; request <= REQUESTS; request++) submit(request);
  pthread_join(worker, NULL);
  puts("all answered");
  return 0;
}
