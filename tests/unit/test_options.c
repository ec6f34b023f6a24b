/* Options: the table, every type of value, precedence, presets, lists, origins, and what is said about wrong
 * ones. */
#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/options.h"
#include "base/value.h"

static char said[100000];
static int errors;
static struct rf_options *options;
static char folder[] = "/tmp/refunc-options-XXXXXX", file[100];

static void note(void *user, const char *message) {
  (void)user;
  cr_assert_null(strchr(message, '\n'));
  strncat(said, message, sizeof said - strlen(said) - 2);
  strcat(said, "\n");
}

static void begin(void) {
  cr_assert_not_null(mkdtemp(folder));
  snprintf(file, sizeof file, "%s/refunc.yaml", folder);
}

static void end(void) {
  rf_options_free(options);
  unlink(file);
  rmdir(folder);
}

TestSuite(options, .init = begin, .fini = end);

static void write_file(const char *path, const char *text) {
  int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0600);
  cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
  close(fd);
}

/* Loads a config file's text (NULL: no file), and up to eight NAME=VALUE of the environment and --set's, each
 * NULL-terminated. */
static void load(const char *yaml, char *const *environment, const char *const *assignments) {
  struct rf_option_sources sources = {environment, assignments, NULL};
  if (yaml) {
    write_file(file, yaml);
    sources.config_path = file;
  }
  rf_options_free(options);
  said[0] = 0;
  options = rf_options_load(&sources, note, NULL, &errors);
  cr_assert_not_null(options);
  int lines = 0;
  for (const char *at = said; (at = strchr(at, '\n')); at++) lines++;
  cr_assert_eq(lines, errors);
}

#define ENV(...) ((char *const[]){__VA_ARGS__, NULL})
#define SET(...) ((const char *const[]){__VA_ARGS__, NULL})

static const char *shown(enum rf_option option) { return rf_option_shown(options, option, NULL); }

/* The origin, with the file's path shortened to its name. */
static const char *origin(enum rf_option option) {
  const char *from;
  rf_option_shown(options, option, &from);
  size_t n = strlen(folder);
  return strncmp(from, folder, n) == 0 ? from + n + 1 : from;
}

#define IS(option, text, from)                                                                               \
  do {                                                                                                       \
    cr_assert_str_eq(shown(option), text);                                                                   \
    cr_assert_str_eq(origin(option), from);                                                                  \
  } while (0)

/* Exactly one complaint, with all of these in it. */
static void complains(const char *first, ...) {
  va_list parts;
  cr_assert_eq(errors, 1, "%s", said);
  va_start(parts, first);
  for (const char *part = first; part; part = va_arg(parts, const char *))
    cr_assert(strstr(said, part), "'%s' in: %s", part, said);
  va_end(parts);
}

Test(options, the_table_is_that_of_the_interface) {
  static const char *const rows[][3] = {
      {"refunc.preset", "REFUNC_PRESET", "default"},
      {"refunc.enabled", "REFUNC_ENABLED", "on"},
      {"refunc.include", "REFUNC_INCLUDE", ""},
      {"refunc.children", "REFUNC_CHILDREN", "follow"},
      {"refunc.output", "REFUNC_OUTPUT", "auto"},
      {"refunc.report", "REFUNC_REPORT", "stderr"},
      {"refunc.log", "REFUNC_LOG", "warn"},
      {"refunc.log_format", "REFUNC_LOG_FORMAT", "text"},
      {"timing.mode", "REFUNC_TIMING_MODE", "perf_counter"},
      {"timing.budget", "REFUNC_TIMING_BUDGET", "5%"},
      {"trace.functions", "REFUNC_TRACE_FUNCTIONS", ""},
      {"trace.exclude", "REFUNC_TRACE_EXCLUDE", ""},
      {"trace.edges", "REFUNC_TRACE_EDGES", "off"},
      {"heap.mode", "REFUNC_HEAP_MODE", "counters"},
      {"heap.per_function", "REFUNC_HEAP_PER_FUNCTION", "off"},
      {"heap.sample_bytes", "REFUNC_HEAP_SAMPLE_BYTES", "512K"},
      {"heap.sample_seed", "REFUNC_HEAP_SAMPLE_SEED", "0"},
      {"heap.stack_depth", "REFUNC_HEAP_STACK_DEPTH", "64"},
      {"heap.leak_check", "REFUNC_HEAP_LEAK_CHECK", "off"},
      {"heap.suppressions", "REFUNC_HEAP_SUPPRESSIONS", ""},
      {"heap.allocator", "REFUNC_HEAP_ALLOCATOR", "app"},
      {"system.enabled", "REFUNC_SYSTEM_ENABLED", "on"},
      {"system.interval", "REFUNC_SYSTEM_INTERVAL", "100ms"},
      {"system.cpu", "REFUNC_SYSTEM_CPU", "on"},
      {"system.memory", "REFUNC_SYSTEM_MEMORY", "on"},
      {"system.disk", "REFUNC_SYSTEM_DISK", "on"},
      {"system.network", "REFUNC_SYSTEM_NETWORK", "on"},
      {"system.gpu", "REFUNC_SYSTEM_GPU", "auto"},
      {"system.per_function", "REFUNC_SYSTEM_PER_FUNCTION", "off"},
      {"system.rss_alert", "REFUNC_SYSTEM_RSS_ALERT", ""},
  };
  load(NULL, NULL, NULL);
  cr_assert_eq(errors, 0, "%s", said);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    int option = 0;
    while (option < RF_OPTION_COUNT && strcmp(rf_option_key((enum rf_option)option), rows[i][0]) != 0)
      option++;
    cr_assert_lt(option, RF_OPTION_COUNT, "%s", rows[i][0]);
    cr_assert_str_eq(rf_option_environment((enum rf_option)option), rows[i][1]);
    IS((enum rf_option)option, rows[i][2], "default");
    cr_assert_gt(strlen(rf_option_help((enum rf_option)option)), 0);
  }
}

Test(options, defaults_are_typed) {
  load(NULL, NULL, NULL);
  const struct rf_option_item *items;
  cr_assert(rf_option_on(options, RF_OPT_ENABLED));
  cr_assert_not(rf_option_on(options, RF_OPT_TRACE_EDGES));
  cr_assert_eq(rf_option_choice(options, RF_OPT_HEAP_MODE), RF_HEAP_COUNTERS);
  cr_assert_eq(rf_option_choice(options, RF_OPT_SYSTEM_GPU), RF_AUTO);
  cr_assert_eq(rf_option_bytes(options, RF_OPT_HEAP_SAMPLE_BYTES), 524288);
  cr_assert_eq(rf_option_bytes(options, RF_OPT_SYSTEM_RSS_ALERT), 0);
  cr_assert_eq(rf_option_number(options, RF_OPT_HEAP_STACK_DEPTH), 64);
  cr_assert_eq(rf_option_ns(options, RF_OPT_SYSTEM_INTERVAL), 100000000);
  cr_assert_eq(rf_option_ratio(options, RF_OPT_TIMING_BUDGET), 0.05);
  cr_assert_str_eq(rf_option_text(options, RF_OPT_HEAP_SUPPRESSIONS), "");
  cr_assert_eq(rf_option_list(options, RF_OPT_TRACE_FUNCTIONS, &items), 0);
  cr_assert_gt(rf_option_list(options, RF_OPT_EXCLUDE, &items), 10);
  cr_assert_str_eq(items[0].text, "sh");
  cr_assert_eq(rf_option_bytes(options, RF_OPT_HEAP_STACK_DEPTH), 0, "the wrong type answers 0");
  cr_assert_not(rf_option_on(options, RF_OPT_HEAP_MODE));
}

Test(options, each_source_beats_the_one_below) {
  load(NULL, NULL, SET("preset=full"));
  IS(RF_OPT_HEAP_MODE, "sampled", "preset full");
  load("\nheap.mode: exact\npreset: full\n", NULL, NULL);
  IS(RF_OPT_HEAP_MODE, "exact", "refunc.yaml:2");
  load("heap.mode: exact\n", ENV("REFUNC_HEAP_MODE=off", "REFUNC_PRESET=full"), NULL);
  IS(RF_OPT_HEAP_MODE, "off", "REFUNC_HEAP_MODE");
  IS(RF_OPT_HEAP_PER_FUNCTION, "on", "preset full");
  load("heap.mode: exact\n", ENV("REFUNC_HEAP_MODE=off"), SET("preset=full", "heap.mode=counters"));
  IS(RF_OPT_HEAP_MODE, "counters", "--set");
  cr_assert_eq(errors, 0, "%s", said);
}

Test(options, presets_are_those_of_the_interface) {
  static const enum rf_option columns[] = {RF_OPT_TIMING_BUDGET,
                                           RF_OPT_HEAP_MODE,
                                           RF_OPT_HEAP_PER_FUNCTION,
                                           RF_OPT_SYSTEM_ENABLED,
                                           RF_OPT_SYSTEM_PER_FUNCTION,
                                           RF_OPT_TRACE_EDGES,
                                           RF_OPT_LOG};
  static const char *const rows[][8] = {
      {"preset=default", "5%", "counters", "off", "on", "off", "off", "warn"},
      {"preset=quick", "1%", "counters", "off", "off", "off", "off", "warn"},
      {"preset=full", "5%", "sampled", "on", "on", "on", "on", "warn"},
      {"preset=debug", "off", "exact", "on", "on", "on", "on", "debug"},
  };
  for (int row = 0; row < 4; row++) {
    load(NULL, NULL, SET(rows[row][0]));
    cr_assert_eq(rf_option_choice(options, RF_OPT_PRESET), row);
    for (int i = 0; i < 7; i++) cr_assert_str_eq(shown(columns[i]), rows[row][i + 1]);
  }
}

Test(options, the_preset_comes_from_its_highest_source) {
  load("preset: debug\n", ENV("REFUNC_PRESET=quick"), NULL);
  IS(RF_OPT_TIMING_BUDGET, "1%", "preset quick");
  load("refunc:\n  preset: debug\n", NULL, SET("refunc.preset=default"));
  IS(RF_OPT_TIMING_BUDGET, "5%", "default");
}

Test(options, lists_of_all_sources_add_up) {
  load("trace:\n  functions:\n    - a,b\n    - c\n",
       ENV("REFUNC_TRACE=d,std::map<int\\, X>::find", "REFUNC_TRACE_FUNCTIONS= e , ,f"),
       SET("trace.functions=g", "trace.functions=h,i"));
  static const char *const expected[][2] = {{"a,b", "refunc.yaml:3"},
                                            {"c", "refunc.yaml:4"},
                                            {"d", "REFUNC_TRACE"},
                                            {"std::map<int, X>::find", "REFUNC_TRACE"},
                                            {"e", "REFUNC_TRACE_FUNCTIONS"},
                                            {"f", "REFUNC_TRACE_FUNCTIONS"},
                                            {"g", "--set"},
                                            {"h", "--set"},
                                            {"i", "--set"}};
  const struct rf_option_item *items;
  cr_assert_eq(rf_option_list(options, RF_OPT_TRACE_FUNCTIONS, &items), 9);
  for (int i = 0; i < 9; i++) {
    cr_assert_str_eq(items[i].text, expected[i][0]);
    cr_assert(strstr(items[i].origin, expected[i][1]));
  }
  cr_assert_str_eq(shown(RF_OPT_TRACE_FUNCTIONS), "a\\,b,c,d,std::map<int\\, X>::find,e,f,g,h,i");
  load(NULL, ENV("REFUNC_EXCLUDE=mine"), NULL);
  size_t count = rf_option_list(options, RF_OPT_EXCLUDE, &items);
  cr_assert_str_eq(items[0].text, "sh");
  cr_assert_str_eq(items[count - 1].text, "mine");
  IS(RF_OPT_EXCLUDE, shown(RF_OPT_EXCLUDE), "default, REFUNC_EXCLUDE");
}

Test(options, the_environment_is_read_like_getenv) {
  load(NULL,
       ENV("REFUNC_HEAP_MODE=", "REFUNC_LOG=info", "REFUNC_LOG=debug", "REFUNC_LOGX", "HEAP_MODE=exact"),
       NULL);
  IS(RF_OPT_HEAP_MODE, "counters", "default");
  IS(RF_OPT_LOG, "info", "REFUNC_LOG");
  complains("REFUNC_LOGX: there is no such option; did you mean REFUNC_LOG?", NULL);
}

Test(options, unknown_names_in_the_environment_are_said) {
  load(NULL, ENV("REFUNC_HEAP_MOD=exact"), NULL);
  complains("REFUNC_HEAP_MOD: ", "did you mean REFUNC_HEAP_MODE?", NULL);
  load(NULL, ENV("REFUNC_TRAC=f"), NULL);
  complains("did you mean REFUNC_TRACE?", NULL);
  load(NULL, ENV("REFUNC_COMPLETELY_ELSE=1"), NULL);
  complains("REFUNC_COMPLETELY_ELSE: there is no such option ('refunc config' lists them)", NULL);
  load(NULL, ENV("REFUNC__RUN=1", "REFUNC__CHECK=1", "REFUNCX=1", "MY_REFUNC_X=2"), NULL);
  cr_assert_eq(errors, 0, "%s", said);
}

Test(options, unknown_keys_are_said_with_the_nearest) {
  load("heap:\n  mod: exact\nsystem.cpu: off\n", NULL, NULL);
  complains("refunc.yaml:2: heap.mod: there is no such key; did you mean heap.mode?", NULL);
  IS(RF_OPT_SYSTEM_CPU, "off", "refunc.yaml:3");
  load("hepa:\n  mode: exact\n", NULL, NULL);
  complains("refunc.yaml:2: hepa.mode: ", "did you mean heap.mode?", NULL);
  load("prest: full\n", NULL, NULL);
  complains("refunc.yaml:1: prest: ", "did you mean preset?", NULL);
  load("function:\n  f:\n", NULL, NULL);
  complains("function.f: there is no such key", NULL);
  load(NULL, NULL, SET("heap.mdoe=exact", "heap.mode=exact"));
  complains("--set: heap.mdoe: ", "did you mean heap.mode?", NULL);
  IS(RF_OPT_HEAP_MODE, "exact", "--set");
  load(NULL, NULL, SET("heap.mode"));
  complains("--set: heap.mode: wants a value: --set heap.mode=VALUE", NULL);
}

Test(options, bad_values_are_said_and_the_lower_source_holds) {
  load("heap.mode: exact\n", ENV("REFUNC_HEAP_MODE=sampeld"), NULL);
  complains(
      "REFUNC_HEAP_MODE: heap.mode: wants counters|off|sampled|exact, not 'sampeld'; did you mean sampled?",
      NULL);
  IS(RF_OPT_HEAP_MODE, "exact", "refunc.yaml:1");
  load("system:\n  cpu: onn\n", NULL, NULL);
  complains("refunc.yaml:2: system.cpu: wants on or off, not 'onn'; did you mean on?", NULL);
  load("system.gpu: atuo\n", NULL, NULL);
  complains("refunc.yaml:1: system.gpu: wants auto, on or off, not 'atuo'; did you mean auto?", NULL);
  load("preset: [full]\n", NULL, NULL);
  complains("refunc.yaml:1: preset: wants one value, not a list", NULL);
  load("heap.mode:\n", NULL, NULL);
  complains("refunc.yaml:1: heap.mode: has no value", NULL);
  load("heap: exact\n", NULL, NULL);
  complains("refunc.yaml:1: heap: has keys below it, not a value", NULL);
  load("heap:\ntrace:\n  functions:\n", NULL, NULL);
  cr_assert_eq(errors, 0, "empty sections and lists are fine: %s", said);
}

/* One assignment each: good ones are shown as they are, bad ones complained about. */
static bool takes(const char *assignment) {
  load(NULL, NULL, SET(assignment));
  return errors == 0;
}

Test(options, values_have_limits) {
  cr_assert(takes("report=none") && takes("report=x.txt") && takes("report=r-%p.%%.json") &&
            takes("report=stderr"));
  cr_assert(!takes("report=x") && !takes("report=.txt") && !takes("report=x.html") &&
            !takes("report=%q.txt"));
  cr_assert(takes("output=none") && takes("output=%e-%p-%h-%r-%t.rfn") && takes("output=dir/x"));
  cr_assert(!takes("output=") && !takes("output=%x") && !takes("output=100%"));
  cr_assert(takes("system.interval=1ms") && !takes("system.interval=999us") && !takes("system.interval=0s"));
  cr_assert(takes("heap.stack_depth=1024") && !takes("heap.stack_depth=0") &&
            !takes("heap.stack_depth=1025"));
  cr_assert(takes("heap.sample_bytes=1") && !takes("heap.sample_bytes=0") && !takes("heap.sample_bytes=-1"));
  cr_assert(takes("system.rss_alert=2G") && !takes("system.rss_alert=0") && !takes("system.rss_alert=2X"));
}

Test(value, sizes) {
  static const struct {
    const char *text;
    uint64_t bytes;
  } good[] = {{"0", 0},           {"65536", 65536},   {"512K", 524288},  {"512k", 524288}, {"1M", 1048576},
              {"2G", 2ull << 30}, {"3T", 3ull << 40}, {"1.5M", 1572864}, {"10B", 10},      {"4KiB", 4096},
              {"4KB", 4096},      {"0.5K", 512},      {"8191P", 0}};
  uint64_t bytes;
  for (int i = 0; i < 12; i++) {
    cr_assert(rf_value_size(good[i].text, &bytes), "%s", good[i].text);
    cr_assert_eq(bytes, good[i].bytes, "%s", good[i].text);
  }
  static const char *const bad[] = {"",      "K",   "-1",   "1 K",         "1.K",
                                    "1..5K", "1e3", "0x10", "9999999999G", "99999999999999999999",
                                    "512Ki", "1M ", "8191P"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_assert_not(rf_value_size(bad[i], &bytes), "%s", bad[i]);
}

Test(value, durations) {
  static const struct {
    const char *text;
    int64_t ns;
  } good[] = {{"100ms", 100000000}, {"1s", 1000000000},   {"500us", 500000}, {"2m", 120000000000},
              {"7ns", 7},           {"1.5s", 1500000000}, {"0.1us", 100},    {"\x31\xc2\xb5s", 1000},
              {"1h", 3600000000000}};
  int64_t ns;
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
    cr_assert(rf_value_duration(good[i].text, &ns), "%s", good[i].text);
    cr_assert_eq(ns, good[i].ns, "%s", good[i].text);
  }
  static const char *const bad[] = {"", "100", "s", "-1s", "1 s", "1d", "99999999999999h", "1sec"};
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    cr_assert_not(rf_value_duration(bad[i], &ns), "%s", bad[i]);
}

Test(value, ratios_numbers_switches) {
  double ratio;
  uint64_t number;
  int64_t ns;
  bool on;
  cr_assert(rf_value_ratio("0.5%", &ratio) && ratio == 0.005);
  cr_assert(rf_value_ratio("100%", &ratio) && ratio == 1);
  cr_assert(rf_value_ratio("off", &ratio) && ratio < 0);
  cr_assert(!rf_value_ratio("0%", &ratio) && !rf_value_ratio("5", &ratio) &&
            !rf_value_ratio("101%", &ratio) && !rf_value_ratio("-5%", &ratio) &&
            !rf_value_ratio("%", &ratio) && !rf_value_ratio("on", &ratio));
  cr_assert(rf_value_number("0", &number) && number == 0);
  cr_assert(rf_value_number("999999999999999999", &number) && number == 999999999999999999u);
  cr_assert(!rf_value_number("1000000000000000000000", &number) && !rf_value_number("1.0", &number) &&
            !rf_value_number("", &number) && !rf_value_number("1K", &number));
  cr_assert(rf_value_onoff("true", &on) && on && rf_value_onoff("0", &on) && !on &&
            rf_value_onoff("yes", &on) && on);
  cr_assert(!rf_value_onoff("", &on) && !rf_value_onoff("ON", &on) && !rf_value_onoff("off|on", &on));
  cr_assert(rf_value_keep("slow > 10ms", &ns) && ns == 10000000 && rf_value_keep("slow>1s", &ns));
  cr_assert(!rf_value_keep("slow 10ms", &ns) && !rf_value_keep("fast > 10ms", &ns) &&
            !rf_value_keep("slow > 10", &ns));
  cr_assert(rf_value_choice("a|bc|d", "bc") == 1 && rf_value_choice("a|bc|d", "b") == -1 &&
            rf_value_choice("a|bc", "") == -1);
}

Test(options, config_files_are_found) {
  char config[200], folder2[300], named[200], xdg[200], home[200];
  snprintf(xdg, sizeof xdg, "XDG_CONFIG_HOME=%s", folder);
  snprintf(home, sizeof home, "HOME=%s", folder);
  snprintf(folder2, sizeof folder2, "%s/refunc", folder);
  mkdir(folder2, 0700);
  snprintf(config, sizeof config, "%s/refunc/refunc.yaml", folder);
  load(NULL, ENV(xdg), NULL);
  cr_assert_eq(errors, 0, "it need not be there");
  cr_assert_null(rf_option_config_file(options));
  write_file(config, "heap.mode: exact\n");
  load(NULL, ENV(xdg), NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "exact");
  cr_assert_str_eq(rf_option_config_file(options), config);
  write_file(file, "heap.mode: sampled\n");
  snprintf(named, sizeof named, "REFUNC_CONFIG=%s", file);
  load(NULL, ENV(xdg, named), NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "sampled");
  load(NULL, ENV(xdg, "REFUNC_CONFIG=/nonexistent/x.yaml"), NULL);
  complains("/nonexistent/x.yaml: the config file of REFUNC_CONFIG can't be read: No such file or directory",
            NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "counters");
  cr_assert_eq(chdir(folder), 0);
  load(NULL, ENV("XDG_CONFIG_HOME=."), NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "counters", "never from the current directory");
  mkdir(".config", 0700);
  cr_assert_eq(rename("refunc", ".config/refunc"), 0);
  load(NULL, ENV(home), NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "exact");
  unlink(".config/refunc/refunc.yaml");
  rmdir(".config/refunc");
  rmdir(".config");
}

/* "pattern key value" lines. */
static const char *functions(void) {
  static char all[10000];
  const struct rf_function_setting *settings;
  size_t count = rf_option_functions(options, &settings), n = 0;
  for (size_t i = 0; i < count; i++)
    n += (size_t)sprintf(all + n, "%s %s %s\n", settings[i].pattern, settings[i].key, settings[i].value);
  all[n] = 0;
  return all;
}

static const char *spans(void) {
  static char all[10000];
  const struct rf_span_setting *settings;
  size_t count = rf_option_spans(options, &settings), n = 0;
  for (size_t i = 0; i < count; i++)
    n += (size_t)sprintf(all + n, "%s %s %s\n", settings[i].span, settings[i].key, settings[i].value);
  all[n] = 0;
  return all;
}

Test(options, functions_have_settings_and_are_traced) {
  load("trace.functions: z\n"
       "functions:\n"
       "  predict:\n"
       "    signature: int predict(const double *x, size_t n)\n"
       "    args:\n"
       "      x: not null; finite; length n   # a comment\n"
       "      cfg->lr: in 0..1\n"
       "      x[0]: [not null, '> 0']\n"
       "    return: == 0\n"
       "    on_violation: return -1 errno EINVAL\n"
       "  named:\n"
       "  '*_glob': {memory: on, keep: slow > 10ms}\n",
       NULL, NULL);
  cr_assert_eq(errors, 0, "%s", said);
  cr_assert_str_eq(functions(), "predict signature int predict(const double *x, size_t n)\n"
                                "predict args.x not null; finite; length n\n"
                                "predict args.cfg->lr in 0..1\n"
                                "predict args.x[0] not null; > 0\n"
                                "predict return == 0\n"
                                "predict on_violation return -1 errno EINVAL\n"
                                "*_glob memory on\n"
                                "*_glob keep slow > 10ms\n");
  cr_assert_str_eq(shown(RF_OPT_TRACE_FUNCTIONS), "z,predict,named,*_glob");
  const struct rf_function_setting *settings;
  rf_option_functions(options, &settings);
  cr_assert(strstr(settings[1].origin, "refunc.yaml:6"));
}

Test(options, functions_may_be_dotted) {
  load("functions.libm.so.6!sin.memory: on\nfunctions.a.b:\nfunctions.f.args.x.y: not "
       "null\nfunctions.g.args:\n  z: null\n"
       "functions:\n  h.args.k: finite\n  i.budget: 3%\n",
       NULL, NULL);
  cr_assert_eq(errors, 0, "%s", said);
  cr_assert_str_eq(
      functions(),
      "libm.so.6!sin memory on\nf args.x.y not null\ng args.z null\nh args.k finite\ni budget 3%\n");
  cr_assert_str_eq(shown(RF_OPT_TRACE_FUNCTIONS), "libm.so.6!sin,a.b,f,g,h,i");
}

Test(options, wrong_settings_of_functions_are_said) {
  static const char *const cases[][2] = {
      {"memroy: on", "refunc.yaml:3: functions.f.memroy: there is no such key; did you mean memory?"},
      {"memory: maybe", "functions.f.memory: wants on or off, not 'maybe'"},
      {"mode: wall", "functions.f.mode: wants perf_counter|wall_clock|process_time|thread_time, not 'wall'"},
      {"budget: 5", "functions.f.budget: wants a share"},
      {"after: few", "functions.f.after: wants a whole number, not 'few'"},
      {"keep: slow > 10", "functions.f.keep: wants slow > and a duration"},
      {"on_violation: abrot", "did you mean abort?"},
      {"memory: [on]", "functions.f.memory: wants one value, not a list"},
      {"args: x", "functions.f.args: has arguments below it"},
      {"args: {x: }", "functions.f.args.x: has no value"},
      {"args: {x: ['']}", "functions.f.args.x: has no value"},
      {"args: {x: []}", "functions.f.args.x: has no value"},
      {"return: ok #1", "functions.f.return: '#1' behind it is a comment in YAML"},
      {"return:", "functions.f.return: has no value"},
      {"return: != 0", "functions.f.return: YAML takes '!='"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char yaml[300];
    snprintf(yaml, sizeof yaml, "functions:\n  f:\n    %s\n  g: {after: 5}\n", cases[i][0]);
    load(yaml, NULL, NULL);
    complains("refunc.yaml:3: ", cases[i][1], NULL);
    cr_assert_str_eq(functions(), "g after 5\n", "the rest holds");
  }
  load("functions:\n  '': {memory: on}\n", NULL, NULL);
  complains("refunc.yaml:2: functions: a function without a name", NULL);
  load("functions..args.x: null\n", NULL, NULL);
  complains("refunc.yaml:1: functions: a function without a name", NULL);
  load("functions: [a, b]\n", NULL, NULL);
  complains("functions: has names below it", NULL);
  load("functions:\n  f: on\n", NULL, NULL);
  complains("refunc.yaml:2: f: wants settings below it", NULL);
}

Test(options, spans_have_settings) {
  load("spans:\n  request: { begin: submit(key=arg1), end: complete(key=arg1) }\n"
       "  job:\n    begin: {function: f, key: arg1, at: return, when: result > 0}\n    end: g(key=arg2)\n"
       "    duplicate: queue\n    in_flight: 10\nspans.x.begin: h\n",
       NULL, NULL);
  cr_assert_eq(errors, 0, "%s", said);
  cr_assert_str_eq(spans(),
                   "request begin submit(key=arg1)\nrequest end complete(key=arg1)\njob begin.function f\n"
                   "job begin.key arg1\njob begin.at return\njob begin.when result > 0\njob end g(key=arg2)\n"
                   "job duplicate queue\njob in_flight 10\nx begin h\n");
  static const char *const cases[][2] = {
      {"begn: f", "spans.s.begn: there is no such key; did you mean begin?"},
      {"duplicate: drop", "spans.s.duplicate: wants restart|keep|queue, not 'drop'"},
      {"begin: {at: exit}", "spans.s.begin.at: wants entry|return, not 'exit'"},
      {"in_flight: many", "spans.s.in_flight: wants a whole number"},
      {"begin: [f]", "spans.s.begin: wants one value"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char yaml[300];
    snprintf(yaml, sizeof yaml, "spans:\n  s:\n    %s\n    end: g\n", cases[i][0]);
    load(yaml, NULL, NULL);
    complains("refunc.yaml:3: ", cases[i][1], NULL);
    cr_assert_str_eq(spans(), "s end g\n");
  }
}

Test(options, spans_have_names) {
  load("spans:\n  '': {begin: f}\n", NULL, NULL);
  complains("refunc.yaml:2: a span wants a name", NULL);
  load("spans.x: f\n", NULL, NULL);
  complains("refunc.yaml:1: x: a span wants a name, and begin and end below it", NULL);
}

Test(options, comments_that_touch_text_matter_only_to_text) {
  load("heap.mode: exact #heavy\ntrace.functions:\n  - f #1\n  - g # fine\n", NULL, NULL);
  complains("refunc.yaml:3: trace.functions: '#1' behind it is a comment", NULL);
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "exact");
  cr_assert_str_eq(shown(RF_OPT_TRACE_FUNCTIONS), "g");
}

Test(options, hostile_text_is_harmless_in_complaints) {
  load("\"\\e[2J\\n\": x\n", ENV("REFUNC_\x1b[2J=1", "REFUNC_LOG=\x1b]0;x\x07"), NULL);
  cr_assert_eq(errors, 3, "%s", said);
  cr_assert_null(strchr(said, '\x1b'));
  char *long_name = malloc(100001);
  memset(long_name, 'x', 100000);
  memcpy(long_name, "REFUNC_", 7);
  long_name[100000] = 0;
  load(NULL, ENV(long_name), SET(long_name));
  cr_assert_eq(errors, 2);
  cr_assert_lt(strlen(said), 2000);
}

Test(options, a_flood_of_problems_is_cut) {
  char *yaml = malloc(100000), *at = yaml;
  for (int i = 0; i < 5000; i++) at += sprintf(at, "k%d: x\n", i);
  sprintf(at, "heap.mode: exact\n");
  write_file(file, yaml);
  struct rf_option_sources sources = {NULL, NULL, file};
  options = rf_options_load(&sources, note, NULL, &errors);
  cr_assert_geq(errors, 5000);
  int lines = 0;
  for (const char *line = said; (line = strchr(line, '\n')); line++) lines++;
  cr_assert(lines > 10 && lines < 100);
  cr_assert(strstr(said, "the others are not shown"));
  cr_assert_str_eq(shown(RF_OPT_HEAP_MODE), "exact");
}

Test(options, sets_are_freed_whole) {
  char *const *environment = ENV("REFUNC_TRACE=a,b,c", "REFUNC_BAD=1");
  for (int i = 0; i < 3; i++)
    load("functions:\n  f: {memory: on}\nspans: {s: {begin: f}}\n", environment, NULL);
  size_t before = rf_memory_bytes();
  for (int i = 0; i < 500; i++)
    load("functions:\n  f: {memory: on}\nspans: {s: {begin: f}}\n", environment, NULL);
  cr_assert_eq(rf_memory_bytes(), before);
}

Test(nearest, finds_what_was_meant) {
  static const char *const names[] = {"heap.mode", "heap.sample_bytes", "system.cpu", "on", "off"};
  static const char *const cases[][2] = {{"heap.mdoe", "heap.mode"},
                                         {"heap.mod", "heap.mode"},
                                         {"heapmode", "heap.mode"},
                                         {"system.gpu", "system.cpu"},
                                         {"sytem.cpus", "system.cpu"},
                                         {"onn", "on"},
                                         {"of", "off"},
                                         {"heap.sampel_byte", "heap.sample_bytes"}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    cr_assert_str_eq(rf_nearest(cases[i][0], names, 5), cases[i][1], "%s", cases[i][0]);
  cr_assert_null(rf_nearest("banana", names, 5));
  cr_assert_null(rf_nearest("", names, 5));
  cr_assert_null(rf_nearest("x", names, 0));
  char long_name[5000];
  memset(long_name, 'a', sizeof long_name - 1);
  long_name[sizeof long_name - 1] = 0;
  cr_assert_null(rf_nearest(long_name, names, 5));
}

/* Against the plain definition: the whole table, no limits. */
static unsigned distance(const char *a, const char *b) {
  static unsigned d[20][20];
  size_t n = strlen(a), m = strlen(b);
  for (size_t i = 0; i <= n; i++)
    for (size_t j = 0; j <= m; j++) {
      if (i == 0 || j == 0) {
        d[i][j] = (unsigned)(i + j);
        continue;
      }
      unsigned best = d[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
      if (d[i - 1][j] + 1 < best) best = d[i - 1][j] + 1;
      if (d[i][j - 1] + 1 < best) best = d[i][j - 1] + 1;
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && d[i - 2][j - 2] + 1 < best)
        best = d[i - 2][j - 2] + 1;
      d[i][j] = best;
    }
  return d[n][m];
}

Test(nearest, is_the_nearest) {
  unsigned seed = 3, found = 0;
  for (int round = 0; round < 20000; round++) {
    char text[6][16];
    const char *names[5];
    for (int i = 0; i < 6; i++) {
      int n = rand_r(&seed) % 10 + 1;
      for (int j = 0; j < n; j++) text[i][j] = (char)('a' + rand_r(&seed) % 3);
      text[i][n] = 0;
      if (i < 5) names[i] = text[i];
    }
    const char *nearest = rf_nearest(text[5], names, 5);
    if (!nearest) continue;
    found++;
    for (int i = 0; i < 5; i++)
      if (distance(text[5], names[i]) < strlen(names[i]))
        cr_assert_leq(distance(text[5], nearest), distance(text[5], names[i]));
  }
  cr_assert_gt(found, 1000);
}
