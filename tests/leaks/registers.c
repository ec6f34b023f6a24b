/* Threads that wait in the kernel, each with a block that nothing but a register of it leads to: general ones
 * and vector ones. */
#include <linux/futex.h>
#include <pthread.h>
#include <sys/syscall.h>

#include "leaks.h"

ALLOCATES(kept_in_general_register)
ALLOCATES(kept_in_vector_register)
ALLOCATES(lost_beside)

static volatile int waiting;
static int never;

#define WAIT_FOREVER                                                                                         \
  "movl %[call], %%eax; leaq %[never], %%rdi; movl $128, %%esi; xorl %%edx, %%edx; xorl %%r10d, %%r10d; "    \
  "lock incl %[waiting]; syscall; "

/* Nothing else remembers the block: its address is taken from where it lay, and overwritten there. */
NOINLINE static void hold_general(void **from) {
  __asm__ volatile(
      "movq (%[from]), %%r13; movq $0, (%[from]); xorl %%r12d, %%r12d; xorl %%ebx, %%ebx; " WAIT_FOREVER
      : [never] "+m"(never), [waiting] "+m"(waiting)
      : [from] "r"(from), [call] "i"(SYS_futex)
      : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "memory");
}

NOINLINE static void hold_vector(void **from) {
  __asm__ volatile(
      "movq (%[from]), %%xmm5; movq $0, (%[from]); xorl %%r12d, %%r12d; xorl %%ebx, %%ebx; " WAIT_FOREVER
      : [never] "+m"(never), [waiting] "+m"(waiting)
      : [from] "r"(from), [call] "i"(SYS_futex)
      : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
        "xmm5", "memory");
}

NOINLINE static void fill(void **place, void *(*allocate)(size_t)) {
  *place = allocate(500);
  *(volatile char *)lost_beside(500) = 1;
}

static void *general(void *place) {
  fill(place, kept_in_general_register);
  clear_stack();
  hold_general(place);
  return NULL;
}

static void *vector(void *place) {
  fill(place, kept_in_vector_register);
  clear_stack();
  hold_vector(place);
  return NULL;
}

int main(void) {
  static void *place[8];
  pthread_t thread;
  for (int i = 0; i < 4; i++) pthread_create(&thread, NULL, general, &place[i]);
  for (int i = 4; i < 8; i++) pthread_create(&thread, NULL, vector, &place[i]);
  while (waiting < 8) usleep(1000);
  usleep(20000);
  for (int i = 0; i < 8; i++)
    if (place[i]) return 1;
  lost("lost_beside", 8);
  exit(0);
}
