/*
 * The program closes every descriptor, reuses the numbers, changes directory and root, and goes on as a daemon.
 * flags: -O2
 * trace: work
 * calls: work 400
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "case.h"

TRACED int work(int x) { LONG; return x + 1; }
static void hundred(void) {
  for (int i = 0; i < 100; i++)
    if (work(i) != i + 1) _exit(99);
}

int main(void) {
  hundred();
  pid_t pid = fork();
  if (pid == 0) {
    for (int fd = 0; fd < 1024; fd++) close(fd);
    for (int fd = 0; fd < 20; fd++)
      if (open("/dev/null", O_RDWR) != fd) _exit(98);
    hundred();
    if (mkdir("jail", 0700) || chdir("jail") || (getuid() == 0 && chroot("."))) _exit(97);
    hundred();
    for (int i = 0; i < 1000; i++) free(malloc((size_t)i));
    setsid();
    hundred();
    exit(4);
  }
  int status;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  printf("%d\n", WEXITSTATUS(status));
  REQUIRE(WEXITSTATUS(status) == 4 && !rmdir("jail"));
}
