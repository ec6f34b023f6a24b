/*
 * refunc history: keeps runs in an SQLite file, each as its JSON report, and checks the newest against those
 * before it.
 *
 *   add ──▶ run(id, added, start_time, exe, hostname, report) ──▶ check: newest against the medians of the past
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/command.h"
#include "cli/output.h"
#include "cli/render.h"
#include "cli/runs.h"
#include "report/compare.h"
#include "report/json.h"
#include "report/load.h"

#define PAST_RUNS 20 /* what check compares with: the newest of the past of the same program */

static const char schema[] =
    "CREATE TABLE IF NOT EXISTS run (id INTEGER PRIMARY KEY, added TEXT DEFAULT CURRENT_TIMESTAMP, "
    "start_time TEXT, exe TEXT, hostname TEXT, report TEXT NOT NULL)";

static int database_error(sqlite3 *db, const char *path) {
  int status = rf_fail(RF_UNUSABLE, "history: %s: %s", path, db ? sqlite3_errmsg(db) : "out of memory");
  sqlite3_close(db);
  return status;
}

static int open_database(const char *path, bool create, sqlite3 **db) {
  int flags = SQLITE_OPEN_READWRITE | (create ? SQLITE_OPEN_CREATE : 0);
  if (sqlite3_open_v2(path, db, flags, NULL) != SQLITE_OK) return database_error(*db, path);
  sqlite3_busy_timeout(*db, 10000);
  return sqlite3_exec(*db, schema, NULL, NULL, NULL) == SQLITE_OK ? RF_OK : database_error(*db, path);
}

/* --- add --- */

/* What is kept of a run: a JSON report as it is, else the recording's. */
static void add_report_text(struct rf_buffer *out, struct rf_report *report, const char *run) {
  size_t length;
  char *text = rf_json_file_text(run, &length);
  if (text)
    rf_buffer_add(out, text, length);
  else
    rf_json_report(out, report);
  free(text);
}

static int insert(sqlite3 *db, struct rf_report *report, const char *run) {
  static const char statement[] = "INSERT INTO run (start_time, exe, hostname, report) VALUES (?, ?, ?, ?)";
  struct rf_buffer json = {0};
  sqlite3_stmt *s = NULL;
  add_report_text(&json, report, run);
  const struct rf_report_process *root = &report->process[0];
  bool done = sqlite3_prepare_v2(db, statement, -1, &s, NULL) == SQLITE_OK &&
              sqlite3_bind_text(s, 1, root->start_time, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
              sqlite3_bind_text(s, 2, root->exe, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
              sqlite3_bind_text(s, 3, report->hostname, -1, SQLITE_TRANSIENT) == SQLITE_OK &&
              sqlite3_bind_text(s, 4, json.bytes, (int)json.length, SQLITE_TRANSIENT) == SQLITE_OK &&
              sqlite3_step(s) == SQLITE_DONE;
  sqlite3_finalize(s);
  rf_buffer_free(&json);
  return done ? RF_OK : RF_UNUSABLE;
}

static int add(const char *database, const char *run) {
  char newest[4096], error[1024];
  sqlite3 *db;
  if (!run && !rf_newest_run(newest, sizeof newest, error, sizeof error))
    return rf_fail(RF_UNUSABLE, "%s", error);
  struct rf_report *report = rf_load_run(run ? run : newest, error, sizeof error);
  if (!report) return rf_fail(RF_UNUSABLE, "%s", error);
  int status = open_database(database, true, &db);
  if (status == RF_OK && insert(db, report, run ? run : newest) != RF_OK)
    status = database_error(db, database);
  else if (status == RF_OK)
    sqlite3_close(db);
  rf_report_free(report);
  return status;
}

/* --- list --- */

static void add_column(struct rf_buffer *out, sqlite3_stmt *s, int column, size_t width,
                       const struct rf_style *style) {
  const char *text = (const char *)sqlite3_column_text(s, column);
  rf_buffer_char(out, ' ');
  rf_add_padded(out, text ? text : "", width, column == 0, style);
}

static int list(const char *database) {
  struct rf_style style = rf_style_of(STDOUT_FILENO, false);
  struct rf_buffer out = {0};
  sqlite3 *db;
  sqlite3_stmt *s = NULL;
  int status = open_database(database, false, &db);
  if (status != RF_OK) return status;
  if (sqlite3_prepare_v2(db, "SELECT id, start_time, hostname, exe FROM run ORDER BY id", -1, &s, NULL) !=
      SQLITE_OK)
    return database_error(db, database);
  while (sqlite3_step(s) == SQLITE_ROW) {
    add_column(&out, s, 0, 5, &style);
    add_column(&out, s, 1, 24, &style);
    add_column(&out, s, 2, 16, &style);
    add_column(&out, s, 3, (size_t)style.width - 49, &style);
    rf_buffer_char(&out, '\n');
  }
  sqlite3_finalize(s);
  sqlite3_close(db);
  if (out.length) rf_write_all(STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
  return RF_OK;
}

/* --- check --- */

/* The newest run and those of the same program before it, newest first; how many, or -1 with everything said.
 */
static int load_past(sqlite3 *db, struct rf_report **reports) {
  static const char statement[] =
      "SELECT id, report FROM run WHERE exe IS (SELECT exe FROM run ORDER BY id DESC LIMIT 1) "
      "ORDER BY id DESC LIMIT ?";
  sqlite3_stmt *s = NULL;
  int count = 0;
  char name[32], error[512];
  if (sqlite3_prepare_v2(db, statement, -1, &s, NULL) != SQLITE_OK) return -1;
  sqlite3_bind_int(s, 1, PAST_RUNS + 1);
  while (count >= 0 && sqlite3_step(s) == SQLITE_ROW) {
    const char *text = (const char *)sqlite3_column_text(s, 1);
    snprintf(name, sizeof name, "run %d", sqlite3_column_int(s, 0));
    reports[count] =
        text ? rf_json_load(text, (size_t)sqlite3_column_bytes(s, 1), name, error, sizeof error) : NULL;
    if (reports[count])
      count++;
    else
      rf_fail(0, "history: %s is left out: %s", name, text ? error : "it is empty");
  }
  sqlite3_finalize(s);
  return count;
}

static int compare_newest(struct rf_report **reports, int count, double tolerance) {
  struct rf_style style = rf_style_of(STDOUT_FILENO, false);
  struct rf_buffer out = {0};
  if (count < 2)
    return rf_fail(RF_UNUSABLE, "history: %d run of this program: there is no past to compare with", count);
  struct rf_comparison *c = rf_compare(reports + 1, (size_t)count - 1, reports, 1, tolerance);
  int status = c->regressed ? RF_NO : RF_OK;
  if (c->common == 0)
    status = rf_fail(RF_UNUSABLE, "history: not comparable: no function has been timed both now and before");
  else
    rf_comparison_text(&out, c, &style);
  if (out.length) rf_write_all(STDOUT_FILENO, out.bytes, out.length, -1);
  rf_buffer_free(&out);
  rf_comparison_free(c);
  return status;
}

static int check(const char *database, double tolerance) {
  struct rf_report *reports[PAST_RUNS + 1] = {0};
  sqlite3 *db;
  int status = open_database(database, false, &db);
  if (status != RF_OK) return status;
  int count = load_past(db, reports);
  if (count < 0) return database_error(db, database);
  sqlite3_close(db);
  status = compare_newest(reports, count, tolerance);
  for (int i = 0; i <= PAST_RUNS; i++) rf_report_free(reports[i]);
  return status;
}

/* --- the command --- */

static int usage(void) {
  return rf_fail(
      RF_UNUSABLE,
      "history: should be: refunc history add DB [FILE|DIR], list DB, or check [--tolerance 25%%] DB");
}

static int run_history(int argc, char **argv) {
  static const char *const known[] = {"--tolerance", NULL};
  struct rf_args args = rf_args_begin(argc, argv);
  if (argc < 3) return usage();
  const char *action = argv[args.next++], *value = NULL;
  double tolerance = 0.25;
  while (rf_args_at_option(&args)) {
    if (strcmp(action, "check") != 0 || !rf_args_value(&args, "--tolerance", &value))
      return rf_args_unknown(&args, RF_UNUSABLE, "history", known, false);
    if (!value) return rf_args_no_value(&args, RF_UNUSABLE, "history");
    if (rf_tolerance(value, &tolerance, "history") != RF_OK) return RF_UNUSABLE;
  }
  int left = argc - args.next;
  if (strcmp(action, "add") == 0 && (left == 1 || left == 2))
    return add(argv[args.next], left == 2 ? argv[args.next + 1] : NULL);
  if (strcmp(action, "list") == 0 && left == 1) return list(argv[args.next]);
  if (strcmp(action, "check") == 0 && left == 1) return check(argv[args.next], tolerance);
  return usage();
}

const struct rf_command rf_command_history = {
    .name = "history",
    .usage = "add DB [FILE|DIR] | list DB | check [--tolerance 25%] DB",
    .summary = "keeps runs in an SQLite file and checks the newest against the past",
    .help = "  add     puts a run (the newest, or a recording, folder or JSON report) into DB, which is made "
            "where it isn't there\n"
            "  list    the runs in DB\n"
            "  check   the newest run against the medians of up to 20 earlier ones of the same program\n\n"
            "Exit status: 0 nothing regressed, 1 something did, 2 unusable or not comparable.\n",
    .run = run_history};
