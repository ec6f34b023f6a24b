/*
 * free(NULL), realloc(NULL, n), realloc(p, 0), a realloc that fails: counted as the interface says, in every mode.
 * flags: -O2 -fno-builtin
 * option: heap.mode=exact
 * expect: r["heap"]["live_blocks"] >= 0
 */
#include <errno.h>
#include <malloc.h>
#include <string.h>

#include "case.h"

int main(void) {
  volatile size_t huge = (size_t)1 << 62;
  for (int i = 0; i < 1000; i++) {
    free(NULL);
    char *block = realloc(NULL, 20);
    REQUIRE(block);
    memcpy(block, "abc", 4);
    errno = 0;
    REQUIRE(!realloc(block, huge) && errno == ENOMEM && !strcmp(block, "abc"));
    block = realloc(block, 5000);
    REQUIRE(!strcmp(block, "abc"));
    errno = 77;
    REQUIRE(!realloc(block, 0) && errno == 77);
    free(realloc(NULL, 0));
  }
}
