/*
 * glibc's time and gettimeofday: their indirect functions lead into the kernel's vDSO, which nothing can be written to. Their calls
 * are met where they come from, bound or not.
 * flags: -O2 -Wl,-z,lazy
 * flags: -O2 -Wl,-z,now
 * flags: -O2 -fno-plt
 * flags: -O2 -no-pie -fno-pie -Wl,-z,lazy
 * trace: time, gettimeofday
 * calls: time 1000
 * calls: gettimeofday 500
 * expect: not r["skipped"] and {r.function(name)["entry"] for name in ("time", "gettimeofday")} == {"slots"}
 * expect: r.function("time")["module"] == "libc.so.6" and r.function("time")["total_s"] > 0
 */
#include <sys/time.h>
#include <time.h>

#include "case.h"

int main(void) {
  time_t last = 0, now;
  struct timeval fine;
  for (int i = 0; i < 1000; i++) {
    now = time(i % 2 ? &now : NULL);
    REQUIRE(now >= last && now > 1700000000);
    last = now;
  }
  for (int i = 0; i < 500; i++) REQUIRE(gettimeofday(&fine, NULL) == 0 && fine.tv_sec >= last && fine.tv_usec < 1000000);
}
