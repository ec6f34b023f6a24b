/* refunc compare: has anything become slower, or the heap larger? */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/compare_ab.h"
#include "cli/output.h"
#include "cli/render.h"
#include "report/compare.h"
#include "report/load.h"

enum form { TEXT, JSON, MARKDOWN, JUNIT };

struct side {
  struct rf_report **report;
  size_t count;
};

/* --- arguments --- */

static const char *const known[] = {"--tolerance", "--format", "--ab", "--trace", "--config", "--set", NULL};

struct request {
  double tolerance;
  enum form form;
  long rounds; /* of --ab; 0: recordings are compared */
  struct rf_settings settings;
};

static int take_form(const char *value, enum form *form) {
  static const char *const names[] = {"text", "json", "markdown", "junit"};
  for (int i = 0; i < 4; i++)
    if (strcmp(value, names[i]) == 0) {
      *form = (enum form)i;
      return RF_OK;
    }
  return rf_fail(RF_UNUSABLE, "compare: --format %s: should be text, json, markdown or junit", value);
}

static int take_rounds(const char *value, long *rounds) {
  char *end;
  *rounds = strtol(value, &end, 10);
  if (end != value && !*end && *rounds >= 1 && *rounds <= RF_AB_MOST) return RF_OK;
  return rf_fail(RF_UNUSABLE, "compare: --ab %s: should be the number of rounds, 1 to %d", value, RF_AB_MOST);
}

static int take_option(struct rf_args *args, struct request *request) {
  const char *value;
  if (rf_args_value(args, "--tolerance", &value))
    return value ? rf_tolerance(value, &request->tolerance, "compare")
                 : rf_args_no_value(args, RF_UNUSABLE, "compare");
  if (rf_args_value(args, "--format", &value))
    return value ? take_form(value, &request->form) : rf_args_no_value(args, RF_UNUSABLE, "compare");
  if (rf_args_value(args, "--ab", &value))
    return value ? take_rounds(value, &request->rounds) : rf_args_no_value(args, RF_UNUSABLE, "compare");
  enum rf_taken taken = rf_settings_take(&request->settings, args, "compare");
  if (taken == RF_NOT_TAKEN) return rf_args_unknown(args, RF_UNUSABLE, "compare", known, true);
  return taken == RF_TAKEN ? RF_OK : RF_UNUSABLE;
}

/* --- inputs --- */

static int is_json(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 5 && strcmp(entry->d_name + length - 5, ".json") == 0;
}

static int add_run(struct side *side, const char *path) {
  char error[1024];
  struct rf_report *report = rf_load_run(path, error, sizeof error);
  if (!report) return rf_fail(RF_UNUSABLE, "%s", error);
  struct rf_report **larger = realloc(side->report, (side->count + 1) * sizeof *larger);
  if (!larger) return rf_fail(RF_UNUSABLE, "out of memory");
  side->report = larger;
  side->report[side->count++] = report;
  return RF_OK;
}

/* A folder of JSON reports is as many runs; one of recordings is one run, of a process tree. */
static int add_path(struct side *side, const char *path) {
  struct stat status;
  struct dirent **names;
  if (stat(path, &status) < 0 || !S_ISDIR(status.st_mode)) return add_run(side, path);
  int count = scandir(path, &names, is_json, alphasort), result = RF_OK;
  if (count <= 0) {
    if (count == 0) free(names);
    return add_run(side, path);
  }
  for (int i = 0; i < count; i++) {
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
    if (result == RF_OK) result = add_run(side, file);
    free(names[i]);
  }
  free(names);
  return result;
}

static int add_sides(const struct rf_args *args, struct side *base, struct side *fresh) {
  int dashes = args->next;
  while (dashes < args->argc && strcmp(args->argv[dashes], "--") != 0) dashes++;
  bool several = dashes < args->argc;
  int count = args->argc - args->next;
  if (!several && count != 2)
    return rf_fail(RF_UNUSABLE, "compare: %d given; should be: refunc compare BASE NEW, or BASE... -- NEW...",
                   count);
  if (several && (dashes == args->next || dashes == args->argc - 1))
    return rf_fail(RF_UNUSABLE,
                   "compare: nothing on one side of --; should be: refunc compare BASE... -- NEW...");
  int split = several ? dashes : args->next + 1, status = RF_OK;
  for (int i = args->next; i < split && status == RF_OK; i++) status = add_path(base, args->argv[i]);
  for (int i = split + several; i < args->argc && status == RF_OK; i++)
    status = add_path(fresh, args->argv[i]);
  return status;
}

/* --- output --- */

static void show(const struct rf_comparison *comparison, enum form form) {
  struct rf_buffer out = {0};
  struct rf_style style = rf_style_of(STDOUT_FILENO, false);
  switch (form) {
  case JSON: rf_comparison_json(&out, comparison); break;
  case MARKDOWN: rf_comparison_markdown(&out, comparison); break;
  case JUNIT: rf_comparison_junit(&out, comparison); break;
  default: rf_comparison_text(&out, comparison, &style);
  }
  rf_write_all(STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
}

static int compare_sides(const struct side *base, const struct side *fresh, double tolerance,
                         enum form form) {
  struct rf_comparison *c = rf_compare(base->report, base->count, fresh->report, fresh->count, tolerance);
  int status = c->regressed ? RF_NO : RF_OK;
  if (c->common == 0)
    status = rf_fail(RF_UNUSABLE, "compare: not comparable: no function has been timed in both BASE and NEW");
  else
    show(c, form);
  rf_comparison_free(c);
  return status;
}

static void free_side(struct side *side) {
  for (size_t i = 0; i < side->count; i++) rf_report_free(side->report[i]);
  free(side->report);
}

static int run_both(struct request *request, struct rf_args *args, struct side *base, struct side *fresh) {
  size_t rounds = (size_t)request->rounds;
  base->report = calloc(rounds, sizeof(struct rf_report *));
  fresh->report = calloc(rounds, sizeof(struct rf_report *));
  if (!base->report || !fresh->report) return rf_fail(RF_UNUSABLE, "out of memory");
  base->count = fresh->count = rounds;
  return rf_compare_ab(&request->settings, args, request->rounds, base->report, fresh->report);
}

static int gather(struct request *request, struct rf_args *args, struct side *base, struct side *fresh) {
  if (request->rounds) return run_both(request, args, base, fresh);
  if (request->settings.count || request->settings.config)
    return rf_fail(
        RF_UNUSABLE,
        "compare: options of the library are for --ab, which runs commands; recordings have theirs");
  return add_sides(args, base, fresh);
}

static int run_compare(int argc, char **argv) {
  struct rf_args args = rf_args_begin(argc, argv);
  struct side base = {0}, fresh = {0};
  struct request request = {.tolerance = 0.25};
  int status = RF_OK;
  while (status == RF_OK && rf_args_at_option(&args)) status = take_option(&args, &request);
  if (status == RF_OK) status = gather(&request, &args, &base, &fresh);
  if (status == RF_OK) status = compare_sides(&base, &fresh, request.tolerance, request.form);
  free_side(&base);
  free_side(&fresh);
  rf_settings_free(&request.settings);
  return status;
}

const struct rf_command rf_command_compare = {
    .name = "compare",
    .usage = "[--tolerance 25%] [--format text|json|markdown|junit] BASE NEW | BASE... -- NEW... | --ab N "
             "[options] -- CMD_A -- CMD_B",
    .summary = "regressions between runs: mean and p95 of every function, and the heap's peak",
    .help = "  --tolerance SHARE   what may grow without counting as a regression (default: 25%)\n"
            "  --format FORMAT     text (default), json, markdown, junit\n"
            "  --ab N              runs CMD_A and CMD_B N times each, in turn; options of the library as for "
            "run\n\n"
            "BASE and NEW are recordings, JSON reports, or folders: of recordings (one run) or of JSON "
            "reports (as many runs).\n"
            "Of several runs a side the medians are compared. Differences below 5 ns, or 64 KiB of heap, "
            "don't count.\n"
            "Options stand before the first --.\n\n"
            "Exit status: 0 nothing regressed, 1 something did, 2 unreadable or not comparable.\n",
    .run = run_compare};
