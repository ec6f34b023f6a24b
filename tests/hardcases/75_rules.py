#!/usr/bin/python3
"""Rules on what breaks: NaN, unmapped and unaligned pointers, arrays into unmapped pages, lengths 0 and 2^60, strings without an end,
clones with moved parameters, inlined functions, inside malloc and signal handlers; ten million good calls report nothing. timeout: 300"""
import os

from refunc_test import check, compile_source, preloaded

SOURCE = r"""
#define _GNU_SOURCE
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#define APART __attribute__((noinline, noipa))
struct node { struct node *next; double value; };
APART int number(double x, float y) { return x > y; }
APART int array(const double *x, size_t n) { __asm__ volatile("" ::: "memory"); return 0; }
APART int text(const char *s) { __asm__ volatile("" ::: "memory"); return 0; }
APART int edge(const char *s) { __asm__ volatile("" ::: "memory"); return 0; }
APART int chain(const struct node *list) { __asm__ volatile("" ::: "memory"); return 0; }
APART int handled(int n) { return n + 1; }
APART int good(const double *x, size_t n, const char *s, struct node *list) { __asm__ volatile("" ::: "memory"); return (int)n; }
static volatile int sink;
static __attribute__((noinline)) int cloned(const struct node *list, int unused) { return list->value > 1 ? 3 : 4; }
static inline __attribute__((always_inline)) int inlined(int n) { return n * 3; }
static void handler(int signal) { handled(-1); }
int main(int argc, char **argv) {
  long page = 4096;
  number(NAN, 1), number(-NAN, 1), number(0, NAN), number(INFINITY, 1);               /* 3 of x, 1 of y */
  char *memory = mmap(0, 3 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  mprotect(memory + 2 * page, page, PROT_NONE);                                       /* nothing else comes to lie there */
  double *end = (double *)(memory + 2 * page) - 100;
  for (int i = 0; i < 100; i++) end[i] = 0.5;
  array(end, 100);                                                                    /* good, up to the last byte */
  array(end, 101);                                                                    /* into the unmapped page */
  array((double *)((char *)end + 3), 98);                                             /* unaligned: bits that make other numbers */
  array(NULL, 0), array((void *)1, 0);                                                /* nothing to look at */
  array(NULL, 1), array((void *)0xdead0000beef, 5), array((void *)0x8000000000000000, 5), array(end, (size_t)1 << 60), array(end, SIZE_MAX);
  for (int length = 0; length <= 40; length++) {                                      /* the NUL is the last byte that can be read */
    char *s = memory + 2 * page - length - 1;
    memset(s, 'a', length), s[length] = 0;
    edge(s);                                                                          /* 20 are too long */
    for (int i = 0; i < length && length <= 20; i++) s[i] = (char)0xe9, edge(s), s[i] = 'a';   /* 210 are no UTF-8 */
  }
  mprotect(memory, page, PROT_NONE);
  array((double *)memory, 10);
  memset(memory + page, 'a', page);
  text(memory + page + 5), text("fine"), text(memory), text(NULL);                     /* no end; not readable; null */
  mprotect(memory + page, page, PROT_NONE);
  text(memory + page + 5);                                                             /* was readable a moment ago */
  struct node last = {(void *)8, 0.5}, first = {&last, 0.5}, null = {0, 0.5};
  chain(&first), chain(&last), chain(&null), chain((void *)-8);
  sink = cloned(&first, argc) + cloned(&last, 2) + inlined(argc);
  signal(SIGUSR1, handler);
  for (int i = 0; i < 1000; i++) raise(SIGUSR1), handled(1);
  for (int i = 0; i < 100; i++) {
    void *block = malloc(i == 50 ? 1234567 : 10);
    __asm__ volatile("" ::"r"(block) : "memory");
    free(block);
  }
  for (int i = 0; i < 10000000; i++) good((double[]){0, 0.5, 1}, 3, "caf\xc3\xa9", &first);
  puts("survived");
}
"""
CONFIG = """
functions:
  number: { args: { x: finite, y: "in 0..2" } }
  array: { args: { x: "in 0..1; length n" } }
  text: { args: { s: utf8 } }
  edge: { args: { s: max length 20; utf8 } }
  chain: { args: { "list->next->value": "in 0..1" } }
  cloned: { args: { "list->value": "in 0..0.1" } }
  inlined: { args: { n: "in 0..0" } }
  handled: { args: { n: "in 0.." } }
  libc.so*!malloc: { signature: "void *malloc(size_t bytes)", args: { bytes: "<= 1000000" }, return: not null }
  good: { args: { x: "not null; finite; in 0..1; length n", n: "in 1..10", s: "utf8; max length 5; matches /^caf/", "list->value": "in 0..1" }, return: "== 3" }
"""
with open("hard.c", "w") as file:
    file.write(SOURCE)
with open("hard.yaml", "w") as file:
    file.write(CONFIG)
program = compile_source("hard.c", "hard", ["-O2", "-w"])
run = preloaded([program], env={"REFUNC_CONFIG": os.path.abspath("hard.yaml")})
check(run.status == 0 and run.stdout == b"survived\n", f"{run.status} {run.stdout} {run.stderr.decode()}")
report = run.report()
counts = {f"{v['function'].split('(')[0]} {v['parameter']}": v["count"] for v in report["violations"]}
check(counts["number x"] == 3 and counts["number y"] == 1, f"{counts}")
check(7 <= counts["array x"] <= 8, f"{counts}")       # the unaligned one may be good
check(counts["text s"] == 4 and counts["chain list->next->value"] == 3, f"{counts}")
check({v["rule"]: v["count"] for v in report["violations"] if v["function"].startswith("edge")} == {"max length 20": 20, "utf8": 210}, f"{report['violations']}")
check(counts["handled n"] == 1000, f"{counts}")
check(counts["malloc bytes"] == 1 and "malloc return" not in counts, f"{counts}")
check(not any(name.startswith("good") for name in counts), f"{counts}")
check(not any(v["unchecked"] for v in report["violations"]), f"{report['violations']}")
check(report.calls("good") == 10_000_000, f"{report.calls('good')}")
for v in report["violations"]:
    if v["function"].startswith("array"):
        check(v["examples"][0]["index"] == 100 and "unreadable" in v["examples"][0]["value"], f"{v['examples']}")
# A clone's parameter is looked at where it lies, or the rule is refused with a reason; an inlined function can't be met.
refused = b"cloned" in run.stderr
check(refused or counts.get("cloned list->value", 0) == 2, f"{counts} {run.stderr.decode()}")
check(any(entry["pattern"] == "inlined" for entry in report["unmatched"]), f"{report['unmatched']}")
