/*
 * The program forbids itself all system calls but a few: denied ones return an error, or kill. It goes on as without Refunc.
 * flags: -O2 -DACTION=0x00050001
 * flags: -O2 -DACTION=0x80000000
 * trace: work
 * calls: work 100000
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }

#define ALLOW(number) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static void *volatile keep;

int main(void) {
  struct sock_filter filter[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
                                 ALLOW(SYS_write),
                                 ALLOW(SYS_brk),
                                 ALLOW(SYS_exit_group),
                                 ALLOW(SYS_newfstatat),
                                 ALLOW(SYS_nanosleep),
                                 ALLOW(SYS_clock_nanosleep),
                                 BPF_STMT(BPF_RET | BPF_K, ACTION)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  keep = malloc(100); /* its first one asks for random numbers */
  free(keep);
  for (int i = 0; i < 50000; i++) REQUIRE(work(i) == i + 1);
  usleep(250000); /* the sampler is at work */
  REQUIRE(!prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0));
  for (int i = 0; i < 50000; i++) REQUIRE(work(i) == i + 1);
  for (int i = 0; i < 1000; i++) keep = malloc(100), free(keep);
  usleep(1500000);
  puts("done");
}
