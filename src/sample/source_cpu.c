/*
 * CPU: the process's from its CPU clock (nanoseconds, one system call), Refunc's own threads taken out; the
 * machine's from /proc/stat, whose ticks of 10 ms are only worth a ratio over 100 ms and more.
 */
#include <errno.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "sample/reading.h"

static struct rf_counter process, user, kernel, voluntary, involuntary;
static struct { uint64_t busy, all; } machine;

static void forget_cpu(void) { process = user = kernel = voluntary = involuntary = (struct rf_counter){0}; }

static void total(struct rf_reading *r, struct rf_counter *counter, uint64_t *field, uint64_t value) {
  rf_counter_rate(counter, value, r->now_ns);
  rf_reading_total(r, field, rf_counter_total(counter, r->whole_life));
}

static uint64_t nanoseconds(struct timeval t) {
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_usec * 1000u;
}

static void read_cpu(struct rf_reading *r) {
  struct rusage use;
  uint64_t cpu = rf_less((uint64_t)rf_process_cpu_ns(), r->own.cpu_ns);
  rf_reading_set(r, RF_METRIC_CPU_PROCESS, rf_counter_rate(&process, cpu, r->now_ns) / 1e9);
  long error = rf_syscall(SYS_getrusage, RUSAGE_SELF, &use);
  if (error < 0) {
    rf_reading_failed(r, RF_ABSENT_CPU, "getrusage", error);
    return;
  }
  total(r, &user, &r->totals->user_ns, rf_less(nanoseconds(use.ru_utime), r->own.user_ns));
  total(r, &kernel, &r->totals->sys_ns, rf_less(nanoseconds(use.ru_stime), r->own.sys_ns));
  total(r, &voluntary, &r->totals->voluntary_switches,
        rf_less((uint64_t)use.ru_nvcsw, r->own.voluntary_switches));
  total(r, &involuntary, &r->totals->involuntary_switches,
        rf_less((uint64_t)use.ru_nivcsw, r->own.involuntary_switches));
}

static bool open_cpu(struct rf_reading *r) {
  read_cpu(r);
  return true;
}

const struct rf_source rf_source_cpu = {
    .name = "system.cpu", .open = open_cpu, .read = read_cpu, .forget = forget_cpu};

/* user nice system idle iowait irq softirq steal; guest time is within user. Stolen time is not the machine's
 * use. */
enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, FIELDS };

static long machine_ticks(struct rf_reading *r, uint64_t *busy, uint64_t *all) {
  struct rf_scan text;
  long error = rf_reading_often(r, r->proc_root, "/stat", false, &text);
  if (error < 0) return error;
  uint64_t field[FIELDS] = {0};
  if (!rf_scan_prefix(&text, "cpu ")) return -EBADMSG;
  for (int i = 0; i < FIELDS; i++)
    if (!rf_scan_number(&text, &field[i]) && i <= IDLE) return -EBADMSG;
  *busy = field[USER] + field[NICE] + field[SYSTEM] + field[IRQ] + field[SOFTIRQ];
  *all = *busy + field[IDLE] + field[IOWAIT] + field[STEAL];
  return 0;
}

static bool open_machine(struct rf_reading *r) {
  long error = machine_ticks(r, &machine.busy, &machine.all);
  if (error < 0) rf_reading_failed(r, RF_ABSENT_CPU_SYSTEM, "/proc/stat", error);
  return error == 0;
}

/* idle and iowait of a core may run backwards by a tick: that moment is left out. */
static void read_machine(struct rf_reading *r) {
  uint64_t busy, all;
  if (r->span_s < 0.09 || machine_ticks(r, &busy, &all) < 0) return;
  if (busy >= machine.busy && all > machine.all && busy - machine.busy <= all - machine.all)
    rf_reading_set(r, RF_METRIC_CPU_SYSTEM, (double)(busy - machine.busy) / (double)(all - machine.all));
  machine.busy = busy;
  machine.all = all;
}

const struct rf_source rf_source_machine = {
    .name = "system.cpu.system_ratio", .period_ns = 200000000, .open = open_machine, .read = read_machine};
