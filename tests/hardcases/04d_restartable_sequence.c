/*
 * A restartable sequence (rseq) in the only function that could make room: the kernel knows it by its place, so
 * none of it may be moved. Moved, it would go on after its thread has been preempted, and increments would be
 * lost.
 * flags: -O2
 * flags: -O2 -no-pie -fno-pie
 * trace: tiny_before, tiny_behind
 * option: timing.budget=off
 * skipped: tiny_before shorter than the 5 bytes of a jump
 * skipped: tiny_behind shorter than the 5 bytes of a jump
 */
#include <pthread.h>
#include <sys/rseq.h>

#include "case.h"
#include "packed.h"

/* clang-format off */
__asm__(".text\n" FILLER("wall_before")
  FUNCTION("tiny_before") "mov %edi, %eax\n ret\n" END("tiny_before")
  FUNCTION("increment") /* (struct rseq *, counters, 64 bytes apart): 0 where it was interrupted */
   "lea sequence(%rip), %rax\n mov %rax, 8(%rdi)\n"
   "sequence_start: mov 4(%rdi), %eax\n shl $6, %rax\n add %rsi, %rax\n mov (%rax), %rdx\n lea 1(%rdx), %rdx\n"
   "mov %rdx, %rcx\n lea 0(%rcx), %rdx\n lea 0(%rdx), %rdx\n lea 0(%rdx), %rdx\n mov %rdx, (%rax)\n"
   "sequence_done: mov $1, %eax\n movq $0, 8(%rdi)\n ret\n"
   ".pushsection interrupted,\"ax\"\n.byte 0x0f, 0xb9, 0x3d\n.long 0x53053053\n"
   "sequence_interrupted: jmp increment_interrupted\n.popsection\n"
   "increment_interrupted: xor %eax, %eax\n ret\n" END("increment")
  FUNCTION("tiny_behind") "mov %edi, %eax\n ret\n" END("tiny_behind")
  FILLER("wall_behind")
  ".data\n.balign 32\nsequence: .long 0, 0\n .quad sequence_start, sequence_done - sequence_start, sequence_interrupted\n.text\n");
/* clang-format on */

int tiny_before(int), tiny_behind(int), increment(struct rseq *, void *);
static long counters[1024][8] __attribute__((aligned(64)));
static long done;

static void *work(void *unused) {
  struct rseq *own = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
  long succeeded = 0;
  for (int i = 0; i < 2000000; i++) succeeded += increment(own, counters);
  __atomic_fetch_add(&done, succeeded, __ATOMIC_RELAXED);
  return 0;
}

int main(void) {
  pthread_t threads[4];
  long sum = 0;
  REQUIRE(tiny_before(3) == 3 && tiny_behind(4) == 4);
  if (!__rseq_size) return 0; /* an old kernel */
  for (int i = 0; i < 4; i++) REQUIRE(pthread_create(&threads[i], 0, work, 0) == 0);
  for (int i = 0; i < 4; i++) pthread_join(threads[i], 0);
  for (int i = 0; i < 1024; i++) sum += counters[i][0];
  REQUIRE(sum == done);
}
