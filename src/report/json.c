/* One function an object of the schema, in the schema's order. */
#include "report/json.h"

#include <stdio.h>
#include <string.h>

#include "report/json_rules.h"
#include "report/json_writer.h"
#include "report/sites.h"
#include "report/symbolize.h"

/* A number that may be unknown; then path.key has a reason, the given one unless a better one was recorded.
 */
struct scope {
  struct rf_json *json;
  struct rf_report *report;
  const char *path, *reason;
};

static void put(const struct scope *scope, const char *key, double value) {
  rf_json_number(scope->json, key, value);
  if (isfinite(value)) return;
  char path[160];
  snprintf(path, sizeof path, "%s%s%s", scope->path, *scope->path ? "." : "", key);
  if (!rf_report_reason(scope->report, path)) rf_report_unavailable(scope->report, path, scope->reason);
}

/* --- environment, processes, options --- */

/* A text that may be unknown. */
static void put_text(const struct scope *scope, const char *key, const char *text) {
  if (*text)
    rf_json_text(scope->json, key, text);
  else
    put(scope, key, NAN);
}

static void put_environment(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "environment", "not recorded"};
  rf_json_open(json, "environment", '{');
  rf_json_text(json, "hostname", report->hostname);
  rf_json_text(json, "kernel", report->kernel);
  rf_json_text(json, "cpu_model", report->cpu_model);
  put(&scope, "cpu_count", report->cpu_count);
  put(&scope, "memory_bytes", report->memory_bytes);
  rf_json_open_flat(json, "gpus", '[');
  for (size_t i = 0; i < report->system.gpus; i++) rf_json_text(json, NULL, report->system.gpu[i].name);
  rf_json_close(json, ']');
  rf_json_text(json, "refunc_version", report->refunc_version);
  put_text(&scope, "os", report->os);
  put_text(&scope, "libc_version", report->libc_version);
  put(&scope, "cpu_limit", report->cpu_limit);
  put(&scope, "cpu_max_hz", report->cpu_max_hz);
  put_text(&scope, "cpu_governor", report->cpu_governor);
  put_text(&scope, "transparent_huge_pages", report->transparent_huge_pages);
  if (*report->virtual_machine)
    rf_json_bool(json, "virtual_machine", strcmp(report->virtual_machine, "yes") == 0);
  else
    put(&scope, "virtual_machine", NAN);
  put(&scope, "load_1m", report->load_1m);
  rf_json_close(json, '}');
}

static void put_process(struct rf_json *json, struct rf_report *report, const char *key, const char *path,
                        const struct rf_report_process *p) {
  struct scope scope = {json, report, path, "not recorded"};
  char exit_path[64];
  snprintf(exit_path, sizeof exit_path, "%s.exit", path);
  struct scope exit = {json, report, exit_path,
                       p->alive ? "the process still runs" : "the process ended without a word"};
  rf_json_open(json, key, '{');
  rf_json_count(json, "pid", p->pid);
  rf_json_count(json, "ppid", p->ppid);
  rf_json_text(json, "exe", p->exe);
  rf_json_open_flat(json, "argv", '[');
  for (size_t i = 0; i < p->argc; i++) rf_json_text(json, NULL, p->argv[i]);
  rf_json_close(json, ']');
  rf_json_text(json, "start_time", p->start_time);
  put(&scope, "threads_max", p->threads_max);
  put(&scope, "duration_s", p->duration_s);
  rf_json_open_flat(json, "exit", '{');
  rf_json_text(json, "kind", p->exit_kind);
  put(&exit, "code", p->exit_code);
  rf_json_close(json, '}');
  put(&scope, "heap_peak_bytes", p->heap_peak_bytes);
  put(&scope, "peak_rss_bytes", p->peak_rss_bytes);
  rf_json_text(json, "recording", p->path);
  rf_json_close(json, '}');
}

static void put_processes(struct rf_json *json, struct rf_report *report) {
  static const struct rf_report_process none = {.exe = "",
                                                .start_time = "",
                                                .exit_kind = "lost",
                                                .path = "",
                                                .threads_max = NAN,
                                                .duration_s = NAN,
                                                .exit_code = NAN,
                                                .heap_peak_bytes = NAN,
                                                .peak_rss_bytes = NAN};
  put_process(json, report, "process", "process", report->processes ? &report->process[0] : &none);
  rf_json_open(json, "processes", '[');
  for (size_t i = 0; i < report->processes; i++)
    put_process(json, report, NULL, i ? "processes[]" : "process", &report->process[i]);
  rf_json_close(json, ']');
}

static void put_options(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "options", '{');
  for (size_t i = 0; i < report->options; i++) {
    rf_json_open_flat(json, report->option[i].key, '{');
    rf_json_text(json, "value", report->option[i].value);
    rf_json_text(json, "origin", report->option[i].origin);
    rf_json_close(json, '}');
  }
  rf_json_close(json, '}');
}

/* --- functions --- */

static void put_histogram(struct rf_json *json, const struct rf_report_function *f) {
  rf_json_open_flat(json, "histogram", '[');
  for (size_t i = 0; i < f->buckets; i++) {
    rf_json_open_flat(json, NULL, '[');
    rf_json_number(json, NULL, f->bucket[i].upper_s);
    rf_json_count(json, NULL, f->bucket[i].count);
    rf_json_close(json, ']');
  }
  rf_json_close(json, ']');
}

static void put_null(const struct scope *scope, const char *key) { put(scope, key, NAN); }

static void put_function_heap(struct rf_json *json, struct rf_report *report,
                              const struct rf_report_function *f) {
  struct scope none = {json, report, "functions[]", "heap.per_function is off for this function"};
  struct scope scope = {json, report, "functions[].heap", "no call was timed"};
  if (!f->has_heap) {
    put_null(&none, "heap");
    return;
  }
  rf_json_open(json, "heap", '{');
  put(&scope, "alloc_calls", f->heap.alloc_calls);
  put(&scope, "requested_bytes", f->heap.requested_bytes);
  put(&scope, "alloc_bytes", f->heap.alloc_bytes);
  put(&scope, "free_bytes", f->heap.free_bytes);
  put(&scope, "net_bytes", f->heap.net_bytes);
  put(&scope, "peak_bytes", f->heap.peak_bytes);
  rf_json_bool(json, "peak_is_lower_bound", rf_function_sampled(f));
  rf_json_close(json, '}');
}

static void put_function_system(struct rf_json *json, struct rf_report *report,
                                const struct rf_report_function *f) {
  struct scope none = {json, report, "functions[]", "system.per_function is off for this function"};
  struct scope scope = {json, report, "functions[].system", "not measured for this function"};
  struct scope cpu = {json, report, "functions[].system", "too short for the CPU clock, or never called"};
  if (!f->has_system) {
    put_null(&none, "system");
    return;
  }
  rf_json_open(json, "system", '{');
  put(&cpu, "cpu_ratio", f->system.cpu_ratio);
  struct scope rss = {json, report, "functions[].system",
                      "the sampler did not look, and no call raised the process's peak"};
  put(&rss, "peak_rss_bytes", f->system.peak_rss_bytes);
  put(&scope, "faults", f->system.faults);
  put(&scope, "switches", f->system.switches);
  put(&scope, "read_bytes", f->system.read_bytes);
  put(&scope, "write_bytes", f->system.write_bytes);
  struct scope network = {json, report, "functions[].system", "system.network is off"};
  bool counted = strcmp(rf_report_option(report, "system.network"), "off") != 0;
  put(&network, "sent_bytes", counted ? f->system.sent_bytes : NAN);
  put(&network, "received_bytes", counted ? f->system.received_bytes : NAN);
  struct scope gpu = {json, report, "functions[].system",
                      report->system.gpus ? "the sampler looked at no GPU while it ran" : "no GPU was seen"};
  put(&gpu, "gpu_ratio", f->system.gpu_ratio);
  rf_json_close(json, '}');
}

static void put_times(const struct scope *scope, const struct rf_report_function *f) {
  const struct {
    const char *key;
    double value;
  } times[] = {{"total_s", f->total_s},   {"self_s", f->self_s}, {"mean_s", f->mean_s},
               {"stddev_s", f->stddev_s}, {"min_s", f->min_s},   {"max_s", f->max_s},
               {"p50_s", f->p50_s},       {"p90_s", f->p90_s},   {"p95_s", f->p95_s},
               {"p99_s", f->p99_s},       {"p999_s", f->p999_s}, {"ci95_ratio", f->ci95_ratio}};
  for (size_t i = 0; i < sizeof times / sizeof *times; i++) put(scope, times[i].key, times[i].value);
}

static void put_lines(struct rf_json *json, const char *key, const char *lines) {
  char name[4096];
  rf_json_open_flat(json, key, '[');
  while (*lines) {
    size_t length = strcspn(lines, "\n"), kept = length < sizeof name ? length : sizeof name - 1;
    memcpy(name, lines, kept);
    name[kept] = 0;
    rf_json_text(json, NULL, name);
    lines += length + (lines[length] == '\n');
  }
  rf_json_close(json, ']');
}

static void put_function(struct rf_json *json, struct rf_report *report, const struct rf_report_function *f,
                         const struct rf_report_span *span) {
  const char *reason = f->calls == 0 ? "a function that was never called has no durations"
                                     : "no timed call of this function has ended";
  struct scope scope = {json, report, "functions[]", reason};
  rf_json_open(json, NULL, '{');
  rf_json_text(json, "name", f->name);
  rf_json_text(json, "module", f->module);
  put_lines(json, "aliases", f->aliases ? f->aliases : "");
  rf_json_count(json, "calls", f->calls);
  rf_json_count(json, "timed_calls", f->timed_calls);
  rf_json_text(json, "mode", f->mode);
  if (!span) rf_json_text(json, "entry", f->is_block ? "block" : f->by_slots ? "slots" : "code");
  put_times(&scope, f);
  rf_json_count(json, "threads", f->threads);
  rf_json_count(json, "unwound", f->unwound);
  rf_json_count(json, "open", f->open);
  put_histogram(json, f);
  put_function_heap(json, report, f);
  put_function_system(json, report, f);
  rf_json_kept(json, report, f);
  rf_json_count(json, "violations", f->violations);
  if (span) rf_json_span(json, span);
  rf_json_close(json, '}');
}

static void put_functions(struct rf_json *json, struct rf_report *report) {
  rf_json_open(json, "functions", '[');
  for (size_t i = 0; i < report->functions; i++) put_function(json, report, &report->function[i], NULL);
  rf_json_close(json, ']');
  rf_json_open(json, "edges", '[');
  for (size_t i = 0; i < report->edges; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "caller", report->function[report->edge[i].caller].name);
    rf_json_text(json, "callee", report->function[report->edge[i].callee].name);
    rf_json_count(json, "calls", report->edge[i].calls);
    rf_json_number(json, "total_s", report->edge[i].total_s);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_spans(struct rf_json *json, struct rf_report *report) {
  const struct rf_report *spans = report->spans;
  rf_json_open(json, "spans", '[');
  for (size_t i = 0; spans && i < spans->functions; i++)
    put_function(json, report, &spans->function[i], &spans->span[i]);
  rf_json_close(json, ']');
}

static void put_skipped(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "skipped", '[');
  for (size_t i = 0; i < report->skips; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "name", report->skipped[i].name);
    rf_json_text(json, "module", report->skipped[i].module);
    rf_json_text(json, "reason", report->skipped[i].reason);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_unmatched(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "unmatched", '[');
  for (size_t i = 0; i < report->unmatches; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "pattern", report->unmatched[i].pattern);
    rf_json_text(json, "reason", *report->unmatched[i].reason ? report->unmatched[i].reason : "none");
    put_lines(json, "nearest", report->unmatched[i].nearest);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

/* --- heap --- */

static void put_size_histogram(struct rf_json *json, const struct rf_report_heap *heap) {
  rf_json_open_flat(json, "size_histogram", '[');
  for (unsigned k = 0; k < RF_HEAP_CLASSES; k++) {
    if (!heap->size_class[k]) continue;
    rf_json_open_flat(json, NULL, '[');
    rf_json_number(json, NULL, ldexp(1, (int)k));
    rf_json_count(json, NULL, heap->size_class[k]);
    rf_json_close(json, ']');
  }
  rf_json_close(json, ']');
}

static void put_rss(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "heap.rss", "not measured at the end of the process"};
  const struct rf_report_heap *h = &report->heap;
  rf_json_open(json, "rss", '{');
  put(&scope, "heap_bytes", h->rss_heap_bytes);
  put(&scope, "slack_bytes", h->rss_slack_bytes);
  put(&scope, "thread_stack_bytes", h->rss_thread_stack_bytes);
  put(&scope, "file_bytes", h->rss_file_bytes);
  put(&scope, "anonymous_bytes", h->rss_anonymous_bytes);
  put(&scope, "refunc_bytes", h->rss_refunc_bytes);
  rf_json_close(json, '}');
}

static void put_stack(struct rf_json *json, struct rf_report *report, const struct rf_report_site *site) {
  char text[2048];
  rf_json_open_flat(json, "stack", '[');
  for (size_t i = 0; i < site->depth; i++) {
    size_t count;
    const struct rf_report_symbol *symbol = rf_symbols_of(report, &site->frame[i], &count);
    for (size_t k = 0; k < count; k++) {
      rf_symbol_text(text, sizeof text, &symbol[k]);
      rf_json_text(json, NULL, text);
    }
  }
  if (site->others) {
    snprintf(text, sizeof text, "(%zu further sites)", site->others);
    rf_json_text(json, NULL, text);
  }
  rf_json_close(json, ']');
}

static void put_interval(struct rf_json *json, const struct rf_report_site *site) {
  double low, high;
  rf_site_interval(site, &low, &high);
  rf_json_open_flat(json, "ci95_bytes", '[');
  rf_json_number(json, NULL, low);
  rf_json_number(json, NULL, high);
  rf_json_close(json, ']');
}

static void put_sites(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "heap.sites[]", "of no freed block of this site the life was measured"};
  rf_json_open(json, "sites", '[');
  for (size_t i = 0; i < report->heap.sites; i++) {
    const struct rf_report_site *s = &report->heap.site[i];
    rf_json_open(json, NULL, '{');
    put_stack(json, report, s);
    put(&scope, "alloc_calls", s->alloc_calls);
    put(&scope, "requested_bytes", s->requested_bytes);
    put(&scope, "alloc_bytes", s->alloc_bytes);
    put(&scope, "live_bytes", s->live_bytes);
    put(&scope, "live_blocks", s->live_blocks);
    put(&scope, "peak_bytes", s->peak_bytes);
    put(&scope, "at_peak_bytes", s->at_peak_bytes);
    put(&scope, "temporary_calls", s->temporary_calls);
    put(&scope, "mean_lifetime_s", rf_site_lifetime_s(s));
    put(&scope, "stderr_bytes", rf_site_stderr(s));
    put_interval(json, s);
    rf_json_bool(json, "truncated", s->truncated);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_leaks(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "heap.leaks[]", "no trend: its live bytes were seen too seldom"};
  rf_json_open(json, "leaks", '[');
  for (size_t i = 0; i < report->heap.sites; i++) {
    const struct rf_report_site *s = &report->heap.site[i];
    if (!rf_site_leaks(s)) continue;
    rf_json_open(json, NULL, '{');
    put_stack(json, report, s);
    put(&scope, "live_bytes", s->reachable == 0 ? s->lost_bytes : s->live_bytes);
    put(&scope, "live_blocks", s->reachable == 0 ? s->lost_blocks : s->live_blocks);
    put(&scope, "growth_bytes_per_s", s->trend ? s->trend->growth_bytes_per_s : NAN);
    put(&scope, "confidence", s->trend ? s->trend->confidence : NAN);
    if (s->reachable >= 0)
      rf_json_bool(json, "reachable", s->reachable);
    else
      put_null(&(struct scope){json, report, "heap.leaks[]", "heap.leak_check is off"}, "reachable");
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_figures(const struct scope *scope, const double *figures) {
  for (size_t i = 0; i < RF_ALLOCATOR_FIGURES; i++)
    if (i <= RF_ALLOCATOR_MAPPED || !isnan(figures[i])) put(scope, rf_allocator_figure_names[i], figures[i]);
  put(scope, "fragmentation_ratio", rf_allocator_fragmentation(figures));
}

/* Allocators tell different things: only what all do is there without a value, too. */
static void put_allocator(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct scope scope = {json, report, "heap.allocator", "not asked at the end of the process"};
  struct scope peak = {json, report, "heap.allocator.at_peak", "not asked"};
  rf_json_open(json, "allocator", '{');
  rf_json_text(json, "name", *h->allocator ? h->allocator : "app");
  put_figures(&scope, h->at_end);
  if (!isnan(h->at_peak[RF_ALLOCATOR_ALLOCATED])) {
    rf_json_open(json, "at_peak", '{');
    put_figures(&peak, h->at_peak);
    rf_json_close(json, '}');
  }
  rf_json_close(json, '}');
}

static void put_leak_check(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct scope scope = {json, report, "heap.leak_check", "no check was made"};
  if (!(h->check_blocks >= 0)) {
    put_null(
        &(struct scope){json, report, "heap", "heap.leak_check is off, or the process did not end itself"},
        "leak_check");
    return;
  }
  rf_json_open(json, "leak_check", '{');
  rf_json_bool(json, "halted", !(h->check_unhalted > 0));
  put(&scope, "threads", h->check_threads);
  put(&scope, "blocks", h->check_blocks);
  put(&scope, "lost_blocks", h->check_lost_blocks);
  put(&scope, "lost_bytes", h->check_lost_bytes);
  put(&scope, "duration_s", h->check_duration_s);
  rf_json_close(json, '}');
}

static void put_heap(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_heap *h = &report->heap;
  struct scope scope = {json, report, "heap", "not recorded"};
  struct scope mapped = {json, report, "heap.mapped", "not recorded"};
  rf_json_open(json, "heap", '{');
  rf_json_text(json, "mode", h->mode);
  put(&scope, "alloc_calls", h->alloc_calls);
  put(&scope, "free_calls", h->free_calls);
  put(&scope, "requested_bytes", h->requested_bytes);
  put(&scope, "alloc_bytes", h->alloc_bytes);
  put(&scope, "free_bytes", h->free_bytes);
  put(&scope, "live_bytes", h->live_bytes);
  put(&scope, "live_blocks", h->live_blocks);
  put(&scope, "peak_bytes", h->peak_bytes);
  put(&scope, "peak_rss_bytes", h->peak_rss_bytes);
  put_size_histogram(json, h);
  put(&scope, "inherited_live_bytes", h->inherited_live_bytes);
  put(&scope, "inherited_live_blocks", h->inherited_live_blocks);
  rf_json_open(json, "mapped", '{');
  put(&mapped, "mmap_bytes", h->mmap_bytes);
  put(&mapped, "munmap_bytes", h->munmap_bytes);
  put(&mapped, "live_bytes", h->mapped_live_bytes);
  rf_json_close(json, '}');
  put_rss(json, report);
  put_sites(json, report);
  put_leaks(json, report);
  put_leak_check(json, report);
  put(&scope, "realloc_calls", h->realloc_calls);
  put(&scope, "failed_calls", h->failed_calls);
  put_allocator(json, report);
  rf_json_open(json, "unseen", '[');
  for (size_t i = 0; i < h->unseens; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_text(json, "module", h->unseen[i].module);
    rf_json_text(json, "reason", h->unseen[i].reason);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
  rf_json_close(json, '}');
}

/* --- system --- */

static void put_mean_max(struct rf_json *json, struct rf_report *report, const char *parent, const char *key,
                         double mean, double max) {
  char path[96];
  snprintf(path, sizeof path, "%s.%s", parent, key);
  struct scope scope = {json, report, path, "not sampled"};
  rf_json_open_flat(json, key, '{');
  put(&scope, "mean", mean);
  put(&scope, "max", max);
  rf_json_close(json, '}');
}

static void put_cpu(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct scope scope = {json, report, "system.cpu", "not measured"};
  struct scope ratio = {json, report, "system.cpu.process_ratio", "not sampled"};
  rf_json_open(json, "cpu", '{');
  rf_json_open_flat(json, "process_ratio", '{');
  put(&ratio, "mean", s->cpu_mean);
  put(&ratio, "max", s->cpu_max);
  put(&ratio, "p95", s->cpu_p95);
  rf_json_close(json, '}');
  put_mean_max(json, report, "system.cpu", "system_ratio", s->machine_mean, s->machine_max);
  put(&scope, "throttled_s", s->throttled_s);
  put(&scope, "user_s", s->user_s);
  put(&scope, "sys_s", s->sys_s);
  put(&scope, "voluntary_switches", s->voluntary_switches);
  put(&scope, "involuntary_switches", s->involuntary_switches);
  put(&scope, "run_delay_s", s->run_delay_s);
  rf_json_close(json, '}');
}

static void put_memory(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct scope scope = {json, report, "system.memory", "not measured"};
  rf_json_open(json, "memory", '{');
  put_mean_max(json, report, "system.memory", "rss_bytes", s->rss_mean, s->rss_max);
  put(&scope, "pss_bytes", s->pss_bytes);
  put(&scope, "major_faults", s->major_faults);
  put(&scope, "minor_faults", s->minor_faults);
  put(&scope, "cgroup_limit_bytes", s->cgroup_limit_bytes);
  put(&scope, "alerts", s->alerts);
  rf_json_close(json, '}');
}

static void put_disk(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct scope scope = {json, report, "system.disk", "not measured"};
  rf_json_open(json, "disk", '{');
  put(&scope, "read_bytes", s->read_bytes);
  put(&scope, "write_bytes", s->write_bytes);
  put(&scope, "read_chars", s->read_chars);
  put(&scope, "write_chars", s->write_chars);
  put(&scope, "read_calls", s->read_calls);
  put(&scope, "write_calls", s->write_calls);
  rf_json_close(json, '}');
}

static void put_network(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  struct scope process = {json, report, "system.network.process", "not measured"};
  struct scope space = {json, report, "system.network.namespace", "not measured"};
  rf_json_open(json, "network", '{');
  rf_json_open_flat(json, "process", '{');
  put(&process, "sent_bytes", s->sent_bytes);
  put(&process, "received_bytes", s->received_bytes);
  rf_json_close(json, '}');
  rf_json_open_flat(json, "namespace", '{');
  put(&space, "sent_bytes", s->namespace_sent_bytes);
  put(&space, "received_bytes", s->namespace_received_bytes);
  rf_json_close(json, '}');
  rf_json_close(json, '}');
}

static void put_gpus(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "system.gpu[]", "the driver does not tell"};
  rf_json_open(json, "gpu", '[');
  for (size_t i = 0; i < report->system.gpus; i++) {
    const struct rf_report_gpu *g = &report->system.gpu[i];
    rf_json_open(json, NULL, '{');
    rf_json_text(json, "name", g->name);
    rf_json_text(json, "scope", g->scope);
    put_mean_max(json, report, "system.gpu[]", "utilization_ratio", g->utilization_mean, g->utilization_max);
    put_mean_max(json, report, "system.gpu[]", "memory_bytes", g->memory_mean, g->memory_max);
    put(&scope, "energy_j", g->energy_j);
    put(&scope, "power_w", g->power_w);
    put(&scope, "temperature_c", g->temperature_c);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static const char *const metric_keys[RF_METRICS] = {
    [RF_METRIC_CPU_PROCESS] = "cpu_process_ratio",
    [RF_METRIC_CPU_SYSTEM] = "cpu_system_ratio",
    [RF_METRIC_RSS] = "rss_bytes",
    [RF_METRIC_MAJOR_FAULTS] = "major_faults_per_s",
    [RF_METRIC_MINOR_FAULTS] = "minor_faults_per_s",
    [RF_METRIC_READ] = "read_bytes_per_s",
    [RF_METRIC_WRITE] = "write_bytes_per_s",
    [RF_METRIC_NET_SENT] = "sent_bytes_per_s",
    [RF_METRIC_NET_RECEIVED] = "received_bytes_per_s",
    [RF_METRIC_THREADS] = "threads",
    [RF_METRIC_GPU_UTILIZATION] = "gpu_utilization_ratio",
    [RF_METRIC_GPU_MEMORY] = "gpu_memory_bytes",
    [RF_METRIC_HEAP_LIVE] = "heap_live_bytes",
};

static bool ever_sampled(const struct rf_report_system *s, size_t metric) {
  for (size_t i = 0; i < s->points; i++)
    if (!isnan(s->point[i].value[metric][1])) return true;
  return false;
}

static void put_triple(struct rf_json *json, const char *key, const double *value) {
  if (isnan(value[1])) {
    rf_json_number(json, key, NAN);
    return;
  }
  rf_json_open_flat(json, key, '[');
  for (size_t k = 0; k < 3; k++) rf_json_number(json, NULL, value[k]);
  rf_json_close(json, ']');
}

/* A metric that no point has is left out of the points and named among what is unavailable. */
static void put_timeline(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_system *s = &report->system;
  bool sampled[RF_METRICS];
  for (size_t m = 0; m < RF_METRICS; m++) {
    char path[96];
    sampled[m] = metric_keys[m] && ever_sampled(s, m);
    if (!metric_keys[m] || sampled[m]) continue;
    snprintf(path, sizeof path, "system.timeline[].%s", metric_keys[m]);
    if (!rf_report_reason(report, path)) rf_report_unavailable(report, path, "not sampled");
  }
  rf_json_open(json, "timeline", '[');
  for (size_t i = 0; i < s->points; i++) {
    rf_json_open_flat(json, NULL, '{');
    rf_json_number(json, "time_s", s->point[i].time_s);
    for (size_t m = 0; m < RF_METRICS; m++)
      if (sampled[m]) put_triple(json, metric_keys[m], s->point[i].value[m]);
    rf_json_close(json, '}');
  }
  rf_json_close(json, ']');
}

static void put_system(struct rf_json *json, struct rf_report *report) {
  struct scope scope = {json, report, "system", "not sampled"};
  rf_json_open(json, "system", '{');
  put(&scope, "interval_s", report->system.interval_s);
  put(&scope, "samples", report->system.samples);
  put_cpu(json, report);
  put_memory(json, report);
  put_disk(json, report);
  put_network(json, report);
  put_gpus(json, report);
  put_timeline(json, report);
  rf_json_close(json, '}');
}

/* --- the rest --- */

static void put_self(struct rf_json *json, struct rf_report *report) {
  const struct rf_report_self *self = &report->self;
  struct scope scope = {json, report, "self", "not recorded"};
  struct scope dropped = {json, report, "self.dropped", "not recorded"};
  rf_json_open(json, "self", '{');
  put(&scope, "probe_cost_s", self->probe_cost_s);
  put(&scope, "clock_cost_s", self->clock_cost_s);
  put(&scope, "overhead_s", self->overhead_s);
  put(&scope, "memory_bytes", self->memory_bytes);
  rf_json_open_flat(json, "dropped", '{');
  put(&dropped, "calls", self->dropped_calls);
  put(&dropped, "functions", self->dropped_functions);
  put(&dropped, "samples", self->dropped_samples);
  put(&dropped, "sites", self->dropped_sites);
  rf_json_close(json, '}');
  put(&scope, "probes_s", self->probes_s);
  put(&scope, "rules_s", self->rules_s);
  put(&scope, "per_function_s", self->measured_s);
  put(&scope, "sampler_s", self->sampler_s);
  put(&scope, "start_s", self->start_s);
  rf_json_close(json, '}');
}

static void put_unavailable(struct rf_json *json, const struct rf_report *report) {
  rf_json_open(json, "unavailable", '{');
  for (size_t i = 0; i < report->unavailables; i++)
    rf_json_text(json, report->unavailable[i].path, report->unavailable[i].reason);
  rf_json_close(json, '}');
}

void rf_json_report(struct rf_buffer *out, struct rf_report *report) {
  struct rf_json json = {.out = out};
  rf_json_open(&json, NULL, '{');
  rf_json_text(&json, "schema", "refunc-report/1");
  put_environment(&json, report);
  put_processes(&json, report);
  put_options(&json, report);
  put_functions(&json, report);
  put_skipped(&json, report);
  put_unmatched(&json, report);
  put_heap(&json, report);
  put_system(&json, report);
  put_spans(&json, report);
  rf_json_violations(&json, report);
  put_self(&json, report);
  put_unavailable(&json, report);
  rf_json_close(&json, '}');
  rf_buffer_char(out, '\n');
}
