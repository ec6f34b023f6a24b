/* pthread_setspecific, also with keys that lie in tables made on demand; a key that is deleted takes no value
 * with it. */
#include <pthread.h>
#include <semaphore.h>

#include "leaks.h"

enum { KEYS = 100 };

ALLOCATES(kept_by_key)
ALLOCATES(lost_by_deleted_key)

static pthread_key_t key[KEYS], deleted[KEYS];
static sem_t ready, never;

static void *work(void *unused) {
  for (int i = 0; i < KEYS; i++) pthread_setspecific(key[i], kept_by_key(40));
  for (int i = 0; i < KEYS; i++) pthread_setspecific(deleted[i], lost_by_deleted_key(40));
  for (int i = 0; i < KEYS; i++) pthread_setspecific(deleted[i], NULL);
  clear_stack();
  sem_post(&ready);
  sem_wait(&never);
  return unused;
}

int main(void) {
  pthread_t thread;
  sem_init(&ready, 0, 0), sem_init(&never, 0, 0);
  for (int i = 0; i < KEYS; i++) pthread_key_create(&key[i], NULL), pthread_key_create(&deleted[i], NULL);
  for (int i = 0; i < 2; i++) pthread_create(&thread, NULL, work, NULL);
  for (int i = 0; i < 2; i++) sem_wait(&ready);
  for (int i = 0; i < KEYS; i++) pthread_key_delete(deleted[i]);
  clear_stack();
  lost("lost_by_deleted_key", 2 * KEYS);
  exit(0);
}
