/* Thread-local variables, of the program and of a library opened later, keep what they lead to while their
 * thread lives. */
#include <dlfcn.h>
#include <pthread.h>
#include <semaphore.h>

#include "leaks.h"

ALLOCATES(kept_by_main)
ALLOCATES(kept_by_thread)
ALLOCATES(kept_by_module)
ALLOCATES(lost_by_ended_thread)

static __thread void *volatile local, *volatile many[40];
static sem_t ready, never;
static void ***(*place)(void);

static void *live(void *unused) {
  local = kept_by_thread(50);
  for (int i = 0; i < 40; i++) many[i] = kept_by_thread(60);
  *place() = kept_by_module(24);
  **place() = kept_by_module(70);
  clear_stack();
  sem_post(&ready);
  sem_wait(&never);
  return unused;
}

static void *ended(void *unused) {
  local = lost_by_ended_thread(50);
  many[7] = lost_by_ended_thread(60);
  return unused;
}

int main(int count, char **argument) {
  pthread_t thread;
  void *module = dlopen(argument[1], RTLD_NOW);
  if (count < 2 || !module) return 1;
  place = (void ***(*)(void))dlsym(module, "place");
  sem_init(&ready, 0, 0), sem_init(&never, 0, 0);
  local = kept_by_main(33);
  pthread_create(&thread, NULL, live, NULL);
  sem_wait(&ready);
  pthread_create(&thread, NULL, ended, NULL);
  pthread_join(thread, NULL);
  clear_stack();
  lost("lost_by_ended_thread", 2);
  exit(0);
}
