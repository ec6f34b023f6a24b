/* What threads that have ended had on their stacks; what one of them has put into a global stays. */
#include <pthread.h>

#include "leaks.h"

ALLOCATES(lost_by_thread)
ALLOCATES(kept_by_global)

void *volatile global[8];

static void *work(void *number) {
  void *volatile own[5];
  for (int i = 0; i < 5; i++) own[i] = lost_by_thread(200);
  global[(intptr_t)number] = kept_by_global(100);
  return own[4] ? NULL : number;
}

int main(void) {
  pthread_t thread[8];
  for (intptr_t i = 0; i < 8; i++) pthread_create(&thread[i], NULL, work, (void *)i);
  for (int i = 0; i < 8; i++) pthread_join(thread[i], NULL);
  lost("lost_by_thread", 40);
  exit(0);
}
