/*
 * A forked child that frees what it inherited: its live figures never go negative, and what it inherited is stated.
 * flags: -O2
 * expect: r["heap"]["live_bytes"] >= 0 and r["heap"]["live_blocks"] >= 0
 * expect: r["heap"]["inherited_live_bytes"] >= 1000 * 1000
 * expect: r["heap"]["inherited_live_blocks"] >= 1000
 */
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

int main(void) {
  static void *block[1000];
  for (int i = 0; i < 1000; i++) block[i] = malloc(1000);
  pid_t pid = fork();
  for (int i = 0; i < 1000; i++) free(block[i]);
  if (pid) REQUIRE(waitpid(pid, 0, 0) == pid);
}
