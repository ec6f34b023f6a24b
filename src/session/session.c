/* See session.h. */
#include "session/session.h"
#include "session/exit_report.h"
#include "session/heap.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/options.h"
#include "base/quiet.h"
#include "base/signals.h"
#include "heap/allocator.h"
#include "heap/counters.h"
#include "heap/jemalloc.h"
#include "heap/modules.h"
#include "heap/track.h"
#include "recording/ancestry.h"
#include "recording/place.h"
#include "recording/runs.h"
#include "recording/threads.h"
#include "recording/writer.h"
#include "sample/sampler.h"
#include "session/change.h"
#include "session/describe.h"
#include "session/exit_report.h"
#include "session/functions.h"
#include "session/heap.h"
#include "session/identity.h"
#include "session/machine.h"
#include "session/second_start.h"
#include "session/tool.h"
#include "trace/call.h"
#include "trace/thread_clock.h"

static struct {
  struct rf_options *options;
  struct rf_identity identity;
  struct rf_ancestry ancestry;
  char output[1024];
  char **environment, **arguments;
  int argument_count;
  int64_t start_ns;
  bool active; /* this process, or the one it was forked from, is recorded */
  bool check;  /* refunc check: plan, record, end */
  uint32_t finished;
  int expected_status;
  char
      no_jemalloc[256]; /* why the app is not served from it though it should be; empty: it is, or need not */
} session;

bool rf_session_active(void) { return session.active; }

static bool children_ignored(void) { return rf_option_choice(session.options, RF_OPT_CHILDREN) == 1; }

bool rf_session_follows_children(void) { return session.active && !children_ignored(); }

bool rf_session_counts_network(void) {
  return session.active && rf_option_on(session.options, RF_OPT_SYSTEM_NETWORK);
}

/* ---- start ---- */

static void complain(void *user, const char *message) {
  (void)user;
  rf_log(RF_LOG_ERROR, "%s", message);
}

static bool name_matches(enum rf_option list) {
  const struct rf_option_item *items;
  size_t count = rf_option_list(session.options, list, &items);
  for (size_t i = 0; i < count; i++)
    if (fnmatch(items[i].text, session.identity.name, 0) == 0) return true;
  return false;
}

/* include beats exclude; where include names others, this executable is none of them. */
static bool wanted(void) {
  const struct rf_option_item *items;
  if (!rf_option_on(session.options, RF_OPT_ENABLED)) return false;
  if (rf_option_list(session.options, RF_OPT_INCLUDE, &items) > 0) return name_matches(RF_OPT_INCLUDE);
  return !name_matches(RF_OPT_EXCLUDE);
}

/* A duplicate of stderr for the exit report: many programs close theirs before. High up, where apps do not
 * look for a free one. */
static int own_stderr(void) {
  long fd = rf_syscall(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 600);
  if (fd < 0) fd = rf_syscall(SYS_fcntl, 2, F_DUPFD_CLOEXEC, 100);
  return fd < 0 ? -1 : (int)fd;
}

static void set_up_log(void) {
  rf_log_setup(session.ancestry.is_root ? own_stderr() : 2,
               (enum rf_log_level)rf_option_choice(session.options, RF_OPT_LOG),
               rf_option_choice(session.options, RF_OPT_LOG_FORMAT));
}

static struct rf_place_facts place_facts(void) {
  char *const *environment = session.environment;
  return (struct rf_place_facts){.executable = session.identity.name,
                                 .pid = (uint32_t)rf_syscall(SYS_getpid),
                                 .hostname = session.identity.hostname,
                                 .start_realtime_ns = rf_realtime_ns(),
                                 .root_dir = session.ancestry.root_dir,
                                 .home = rf_place_variable(environment, "HOME"),
                                 .state_home = rf_place_variable(environment, "XDG_STATE_HOME"),
                                 .rank = rf_place_rank(environment)};
}

static bool create_recording(void) {
  struct rf_place_facts facts = place_facts();
  const char *option = rf_option_text(session.options, RF_OPT_OUTPUT);
  struct rf_ancestry *ancestry = &session.ancestry;
  if (!strcmp(option, "auto") && !ancestry->run_dir[0])
    rf_place_run_dir(ancestry->run_dir, sizeof ancestry->run_dir, &facts);
  int placed = rf_place_output(session.output, sizeof session.output, option, ancestry->run_dir, &facts);
  if (placed < 0)
    rf_log(RF_LOG_ERROR, "refunc.output: '%s' gives no usable path (%s); recording in memory only", option,
           strerror(-placed));
  struct rf_recording_plan plan = {.output_path = placed == 0 ? session.output : NULL,
                                   .run_dir = ancestry->run_dir[0] ? ancestry->run_dir : NULL,
                                   .root_pid = ancestry->root_pid,
                                   .is_root = ancestry->is_root,
                                   .root_dir = ancestry->root_dir,
                                   .runtime_dir = rf_place_variable(session.environment, "XDG_RUNTIME_DIR")};
  int failed = rf_recording_create(&plan);
  if (failed) rf_log(RF_LOG_ERROR, "this process is not recorded: %s: %s", session.output, strerror(-failed));
  return !failed;
}

static void record_options(void) {
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *origin;
    const char *value = rf_option_shown(session.options, (enum rf_option)i, &origin);
    rf_ref *root = rf_recording_root(RF_TABLE_OPTION);
    struct rf_option_entry *entry = rf_table_append(root, RF_TABLE_OPTION, sizeof *entry, RF_OPTION_COUNT);
    if (!entry) return;
    entry->key = rf_recording_text(rf_option_key((enum rf_option)i));
    entry->value = rf_recording_text(value);
    entry->origin = rf_recording_text(origin);
    rf_table_publish(*root);
  }
}

static void record_process(void) {
  if (!rf_option_on(session.options, RF_OPT_SYSTEM_NETWORK))
    rf_record_unavailable("system.network", "system.network is off");
  rf_identity_record(&session.identity, session.argument_count, session.arguments);
  rf_machine_record();
  record_options();
}

static void start_sampler(void) {
  const struct rf_options *o = session.options;
  struct rf_sampler_plan plan = {.interval_ns = rf_option_ns(o, RF_OPT_SYSTEM_INTERVAL),
                                 .cpu = rf_option_on(o, RF_OPT_SYSTEM_CPU),
                                 .memory = rf_option_on(o, RF_OPT_SYSTEM_MEMORY),
                                 .disk = rf_option_on(o, RF_OPT_SYSTEM_DISK),
                                 .network = rf_option_on(o, RF_OPT_SYSTEM_NETWORK),
                                 .gpu = (enum rf_auto)rf_option_choice(o, RF_OPT_SYSTEM_GPU),
                                 .system = rf_option_on(o, RF_OPT_SYSTEM_ENABLED),
                                 .rss_alert_bytes = rf_option_bytes(o, RF_OPT_SYSTEM_RSS_ALERT),
                                 .want_look = rf_threads_want_look,
                                 .proc_root = "/proc",
                                 .sys_root = "/sys"};
  int failed = rf_sampler_start(&plan);
  if (failed) rf_log(RF_LOG_INFO, "no sampler: %s", strerror(-failed));
}

static bool forked(void);
static void end_process(void);

static void taken_over(struct rf_thread *thread) {
  rf_thread_clock_close(thread);
  rf_calls_abandon(thread);
  rf_track_taken_over(thread);
}

static bool start_recording(void) {
  static const struct rf_thread_hooks hooks = {forked, taken_over};
  if (!create_recording() || !rf_threads_start(&hooks)) return false;
  struct rf_header *header = rf_recording_header();
  header->cycles_per_second = rf_clock_calibrate();
  rf_calls_start();
  rf_thread_clock_start(header->cycles_per_second, rf_clock_cycles_usable());
  record_process();
  return rf_thread_get() != NULL;
}

static void check_and_end(void) {
  rf_recording_header()->exit_kind = RF_EXIT_EXITED;
  rf_recording_flush(true);
  rf_syscall(SYS_exit_group, 0);
}

static void at_exit(int status, void *unused) {
  (void)unused;
  rf_session_finish(status);
}

static void at_quick_exit_last(void) { rf_session_finish(session.expected_status); }

void rf_session_expect_status(int status) { session.expected_status = status; }

static bool load_options(char **envp) {
  struct rf_option_sources sources = {.environment = envp};
  int errors = 0;
  session.options = rf_options_load(&sources, complain, NULL, &errors);
  return session.options != NULL;
}

/* Where this library lies; NULL: nobody knows. */
static const char *own_path(void) {
  Dl_info info;
  return dladdr((void *)rf_session_start, &info) ? info.dli_fname : NULL;
}

static void find_tool(void) {
  const char *library = own_path();
  if (library) rf_tool_find(library);
}

/* heap.allocator=jemalloc. The reason why it can't be had is kept until there is a recording. */
static void serve_from_jemalloc(bool second) {
  const char *library = own_path();
  char *why = session.no_jemalloc;
  size_t size = sizeof session.no_jemalloc;
  if (rf_option_choice(session.options, RF_OPT_HEAP_ALLOCATOR) != 1 || rf_jemalloc_loaded()) return;
  if (!rf_allocator_is_glibc() || !rf_allocator_is_ours())
    snprintf(why, size, "the program brings an allocator of its own");
  else if (second || !library)
    snprintf(why, size, "the dynamic loader did not load it");
  else
    rf_start_again(session.arguments, session.environment, library, why, size);
  rf_log(RF_LOG_WARN, "heap.allocator=jemalloc is given up: %s", why);
}

/* ThreadSanitizer's versions of libc's functions stand before libc's own and crash until its runtime has
 * started, after us. */
extern void __tsan_init(void) __attribute__((weak));

/* Where Refunc can't live at all; said by a raw write, since not even libc can be called there. */
static bool refused(char *const *envp) {
  static const char sanitizer[] = "refunc: warning: not recorded: ThreadSanitizer starts later than Refunc\n";
  static const char valgrind[] =
      "refunc: warning: not recorded: valgrind runs no thread and no code of Refunc's\n";
  const char *preload = rf_place_variable(envp, "LD_PRELOAD");
  if (__tsan_init) return rf_syscall(SYS_write, 2, sanitizer, sizeof sanitizer - 1) != 0;
  if (preload && strstr(preload, "/vgpreload_"))
    return rf_syscall(SYS_write, 2, valgrind, sizeof valgrind - 1) != 0;
  return false;
}

void rf_session_start(int argc, char **argv, char **envp) {
  if (refused(envp)) return;
  session.start_ns = rf_monotonic_ns();
  session.argument_count = argc;
  session.arguments = argv;
  session.environment = envp;
  /* libc's constructor has not run yet. Opening a library here makes the loader run it, with this as its
   * environment. */
  if (!environ) environ = envp;
  rf_internal_enter();
  bool second = rf_second_start(envp);
  rf_log_setup(2, RF_LOG_WARN, 0);
  rf_identity_find(&session.identity);
  if (load_options(envp) && wanted()) {
    session.check = rf_place_variable(envp, "REFUNC__CHECK") != NULL;
    if (!session.check) serve_from_jemalloc(second);
    rf_vectors_measure();
    rf_ancestry_find(&session.ancestry, rf_place_variable(envp, "REFUNC__RUN"),
                     rf_place_variable(envp, "XDG_RUNTIME_DIR"), NULL);
    set_up_log();
    rf_machine_find();
    session.active = !(session.ancestry.is_child && children_ignored()) && start_recording();
  }
  if (session.active) {
    find_tool();
    rf_describe_environment(session.environment);
    rf_session_find_allocators(session.options, session.check);
    rf_functions_start(session.options, session.check, end_process);
    if (session.check) check_and_end();
    rf_change_offer();
    rf_session_start_heap(session.options, session.no_jemalloc);
    on_exit(at_exit, NULL); /* first of all registered, so it runs last */
    at_quick_exit(at_quick_exit_last);
    start_sampler();
    rf_recording_header()->self_start_ns = (uint64_t)(rf_monotonic_ns() - session.start_ns);
  }
  rf_internal_leave();
}

/* ---- fork and exec ---- */

static __thread uint32_t heap_held; /* by a thread that forks, and by its child */

struct rf_fork_token rf_session_before_fork(void) {
  struct rf_fork_token token = {.signals = rf_signals_block()};
  rf_heap_before_fork();
  heap_held = rf_memory_fork_prepare();
  return token;
}

/* As soon as the child needs Refunc's heap: that may be inside libc's fork, whose own functions may be timed.
 */
static void give_heap(void) {
  uint32_t held = heap_held;
  heap_held = 0;
  rf_memory_fork_done(held);
}

/* In a child of any kind of fork, from whoever first needs its thread. */
static bool forked(void) {
  give_heap();
  rf_recording_forget();
  rf_sampler_forget();
  rf_log_forget();
  rf_calls_inherit();
  session.ancestry.is_root = false;
  session.finished = 0;
  if (children_ignored() || !create_recording()) {
    session.active = false;
    rf_calls_silence();
    rf_heap_start(false);
    return false;
  }
  rf_threads_restart();
  rf_recording_header()->cycles_per_second = rf_clock_calibrate();
  rf_calls_start();
  rf_thread_clock_start(rf_recording_header()->cycles_per_second, rf_clock_cycles_usable());
  record_process();
  rf_functions_record_again();
  rf_change_offer();
  rf_heap_modules_again();
  rf_session_record_heap(session.options, session.no_jemalloc);
  rf_track_restart();
  rf_heap_inherit();
  rf_thread_get();
  start_sampler();
  return true;
}

void rf_session_after_fork(struct rf_fork_token token, bool child) {
  give_heap();
  if (child && session.active) {
    rf_internal_enter();
    rf_thread_get();
    rf_internal_leave();
  }
  rf_signals_restore(token.signals);
}

/* Memory is the parent's in a vfork child, but the process is not. */
static bool in_vfork_child(void) {
  struct rf_header *header = rf_recording_header();
  if (rf_quiet()) return false; /* asking may kill; such a child would end the recording early at worst */
  return header && header->pid != (uint32_t)rf_syscall(SYS_getpid) && !rf_threads_forked();
}

void rf_session_before_exec(void) {
  if (!session.active || in_vfork_child()) return;
  rf_sampler_stop();
  rf_recording_before_exec();
}

void rf_session_exec_failed(void) {
  if (!session.active || in_vfork_child()) return;
  rf_recording_exec_failed();
  start_sampler();
}

void rf_session_before_credentials(void) {
  if (session.active && !in_vfork_child()) rf_sampler_retire("the app changed its credentials");
}

void rf_session_before_seccomp(void) {
  if (!session.active || in_vfork_child()) return;
  rf_sampler_seal("the app installed a system call filter");
  rf_recording_seal();
  rf_quiet_begin();
}

/* ---- finish ---- */

/* Behind a system call filter only the cycle counter tells the time. */
static void record_end(struct rf_header *header) {
  header->end_cycles = rf_cycles();
  if (rf_quiet()) {
    double seconds = (double)(header->end_cycles - header->start_cycles) / header->cycles_per_second;
    header->end_monotonic_ns = header->start_monotonic_ns + (int64_t)(seconds * 1e9);
    return;
  }
  header->end_monotonic_ns = rf_monotonic_ns();
  header->cycles_per_second =
      rf_clock_refine(header->start_cycles, header->start_monotonic_ns, header->end_cycles,
                      header->end_monotonic_ns, header->cycles_per_second);
}

static void report(void) {
  struct rf_place_facts facts = place_facts();
  struct rf_exit_report report = {.options = session.options,
                                  .facts = &facts,
                                  .run_dir = session.ancestry.run_dir,
                                  .is_root = session.ancestry.is_root,
                                  .environment = session.environment};
  rf_exit_report(&report);
}

static void finish_recording(enum rf_exit_kind kind, int code) {
  struct rf_header *header = rf_recording_header();
  header->exit_kind = kind;
  header->exit_code = code;
  record_end(header);
  header->dropped_calls += rf_calls_dropped();
  header->memory_bytes = rf_memory_bytes();
}

/* Runs are pruned where they are made: the tool may never be used. */
static void prune_runs(void) {
  char state[1024];
  struct rf_place_facts facts = place_facts();
  if (!session.ancestry.is_root || !session.ancestry.run_dir[0]) return;
  if (rf_place_state(state, sizeof state, facts.home, facts.state_home) == 0)
    rf_runs_prune(state, RF_RUNS_KEPT);
}

static void finish(enum rf_exit_kind kind, int code) {
  if (!session.active || in_vfork_child()) return;
  if (__atomic_exchange_n(&session.finished, 1, __ATOMIC_ACQ_REL)) return;
  rf_internal_enter();
  if (rf_thread_get() && rf_recording_header()) {
    rf_sampler_stop();
    rf_calls_settle();
    rf_threads_settle();
    rf_heap_settle();
    if (kind == RF_EXIT_EXITED) rf_session_look_at_heap(session.options);
    finish_recording(kind, code);
    rf_recording_flush(true);
    if (!rf_quiet()) {
      report();
      prune_runs();
    }
    rf_recording_drop();
  }
  rf_internal_leave();
}

void rf_session_finish(int status) { finish(RF_EXIT_EXITED, status & 0xff); }

/* A rule was violated whose function wants the process to end: as abort() does, with the report saved first.
 */
static void end_process(void) {
  struct {
    uintptr_t handler;
    unsigned long flags;
    uintptr_t restorer;
    uint64_t mask;
  } plain = {0};
  uint64_t unblocked = 0;
  finish(RF_EXIT_SIGNALED, SIGABRT);
  rf_syscall(SYS_rt_sigaction, SIGABRT, &plain, 0, sizeof unblocked);
  rf_syscall(SYS_rt_sigprocmask, SIG_SETMASK, &unblocked, 0, sizeof unblocked);
  rf_syscall(SYS_tgkill, rf_syscall(SYS_getpid), rf_syscall(SYS_gettid), SIGABRT);
}
