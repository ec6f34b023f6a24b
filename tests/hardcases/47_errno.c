/*
 * errno is kept by everything that succeeds: malloc, free, traced calls, the socket and file functions.
 * flags: -O2 -fno-builtin -pthread
 * trace: called
 * option: heap.mode=exact
 * option: refunc.preset=full
 * calls: called 2000
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "case.h"

TRACED int called(int x) { return errno + x; }

static void *run(void *unused) {
  for (int i = 0; i < 1000; i++) {
    errno = 1234;
    REQUIRE(called(i) == 1234 + i);
    void *block = malloc((size_t)i * 100);
    REQUIRE(errno == 1234);
    block = realloc(block, (size_t)i * 200 + 1);
    REQUIRE(errno == 1234);
    free(block);
    REQUIRE(errno == 1234);
    free(calloc(300000, 1)); /* mapped and unmapped */
    REQUIRE(errno == 1234);
  }
  int pair[2];
  char byte = 'x';
  REQUIRE(!socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  errno = 1234;
  REQUIRE(send(pair[0], &byte, 1, 0) == 1 && recv(pair[1], &byte, 1, 0) == 1 && write(pair[0], &byte, 1) == 1 && read(pair[1], &byte, 1) == 1);
  void *map = mmap(0, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  munmap(map, 4096);
  REQUIRE(!close(pair[0]) && errno == 1234);
  REQUIRE(close(pair[0]) == -1 && errno == EBADF);
  return unused;
}

int main(void) {
  pthread_t thread;
  run(0);
  pthread_create(&thread, 0, run, 0);
  pthread_join(thread, 0);
}
