/* refunc config: the effective options, in the form of a config file. */
#include <stdio.h>
#include <string.h>

#include "cli/command.h"
#include "cli/settings.h"

static const char *const known[] = {"--show-origin", "--trace", "--config", "--set", NULL};

/* Whether YAML would read the bare text as something else. */
static bool needs_quotes(const char *value) {
  return !*value || strpbrk(value, ":#{}[],&*!|>'\"%@`\\") || *value == '-' || *value == '?' || *value == ' ';
}

static void print_value(const char *value) {
  if (!needs_quotes(value)) {
    fputs(value, stdout);
    return;
  }
  putchar('\'');
  for (; *value; value++) {
    if (*value == '\'') putchar('\'');
    putchar((unsigned char)*value < 0x20 || *value == 0x7f ? ' ' : *value);
  }
  putchar('\'');
}

static void print_list(const struct rf_settings *settings, enum rf_option option, bool origin) {
  const struct rf_option_item *items;
  size_t count = rf_option_list(settings->options, option, &items);
  printf("%s:%s\n", rf_option_key(option), count ? "" : " []");
  for (size_t i = 0; i < count; i++) {
    fputs("  - ", stdout);
    print_value(items[i].text);
    printf(origin ? "  # %s\n" : "\n", items[i].origin);
  }
}

static void print_option(const struct rf_settings *settings, enum rf_option option, bool show_origin) {
  const char *origin;
  const char *value = rf_option_shown(settings->options, option, &origin);
  if (strcmp(rf_option_values(option), "LIST") == 0) {
    print_list(settings, option, show_origin);
    return;
  }
  printf("%s: ", rf_option_key(option));
  print_value(value);
  printf(show_origin ? "  # %s\n" : "\n", origin);
}

static void print_functions(const struct rf_settings *settings, bool show_origin) {
  const struct rf_function_setting *functions;
  const struct rf_span_setting *spans;
  size_t count = rf_option_functions(settings->options, &functions);
  for (size_t i = 0; i < count; i++) {
    printf("# functions: %s: %s: %s", functions[i].pattern, functions[i].key, functions[i].value);
    printf(show_origin ? "  # %s\n" : "\n", functions[i].origin);
  }
  count = rf_option_spans(settings->options, &spans);
  for (size_t i = 0; i < count; i++) {
    printf("# spans: %s: %s: %s", spans[i].span, spans[i].key, spans[i].value);
    printf(show_origin ? "  # %s\n" : "\n", spans[i].origin);
  }
}

static int take(struct rf_settings *settings, struct rf_args *args, bool *show_origin) {
  if (rf_args_flag(args, "--show-origin")) {
    *show_origin = true;
    return RF_OK;
  }
  enum rf_taken taken = rf_settings_take(settings, args, "config");
  if (taken == RF_NOT_TAKEN) return rf_args_unknown(args, RF_UNUSABLE, "config", known, true);
  return taken == RF_TAKEN ? RF_OK : RF_UNUSABLE;
}

static int run_config(int argc, char **argv) {
  struct rf_settings settings = {0};
  struct rf_args args = rf_args_begin(argc, argv);
  bool show_origin = false;
  int status = RF_OK;
  while (status == RF_OK && rf_args_at_option(&args)) status = take(&settings, &args, &show_origin);
  if (status == RF_OK && args.next < args.argc)
    status =
        rf_fail(RF_UNUSABLE, "config: %s is no option; should be: refunc config [--show-origin] [options]",
                argv[args.next]);
  if (status == RF_OK && rf_settings_load(&settings)) status = RF_UNUSABLE;
  if (settings.options) {
    for (int i = 0; i < RF_OPTION_COUNT; i++) print_option(&settings, (enum rf_option)i, show_origin);
    print_functions(&settings, show_origin);
  }
  rf_settings_free(&settings);
  return status;
}

const struct rf_command rf_command_config = {
    .name = "config",
    .usage = "[--show-origin] [options]",
    .summary = "prints the effective options, as a config file would state them",
    .help =
        "  --show-origin     where each value comes from: default, preset, file and line, variable, command "
        "line\n\n"
        "Exit status: 0, or 2 when an option is wrong (which is said, and the rest printed all the same).\n",
    .settings = true,
    .run = run_config};
