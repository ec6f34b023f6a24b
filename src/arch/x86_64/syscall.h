/*
 * Raw system calls: no errno, no cancellation point, no interposition. Answers are the kernel's: a value, or
 * -errno. Signal-safe; usable on the sampler's thread, which has no TLS of its own.
 */
#pragma once

#include <stdint.h>
#include <sys/syscall.h>

static inline long rf_syscall6(long number, long a, long b, long c, long d, long e, long f) {
  long result;
  register long r10 __asm__("r10") = d;
  register long r8 __asm__("r8") = e;
  register long r9 __asm__("r9") = f;
  __asm__ volatile("syscall"
                   : "=a"(result)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                   : "rcx", "r11", "memory");
  return result;
}

#define rf_syscall_pick(_0, _1, _2, _3, _4, _5, _6, name, ...) name
#define rf_syscall(...)                                                                                      \
  rf_syscall_pick(__VA_ARGS__, rf_syscall_6, rf_syscall_5, rf_syscall_4, rf_syscall_3, rf_syscall_2,         \
                  rf_syscall_1, rf_syscall_0, 0)(__VA_ARGS__)
#define rf_syscall_0(n) rf_syscall6(n, 0, 0, 0, 0, 0, 0)
#define rf_syscall_1(n, a) rf_syscall6(n, (long)(a), 0, 0, 0, 0, 0)
#define rf_syscall_2(n, a, b) rf_syscall6(n, (long)(a), (long)(b), 0, 0, 0, 0)
#define rf_syscall_3(n, a, b, c) rf_syscall6(n, (long)(a), (long)(b), (long)(c), 0, 0, 0)
#define rf_syscall_4(n, a, b, c, d) rf_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define rf_syscall_5(n, a, b, c, d, e)                                                                       \
  rf_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define rf_syscall_6(n, a, b, c, d, e, f)                                                                    \
  rf_syscall6(n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
