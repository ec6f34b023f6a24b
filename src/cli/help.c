/* See help.h. */
#include "cli/help.h"

#include <ctype.h>
#include <string.h>
#include <unistd.h>

#include "base/options.h"

static const char intro[] =
    "Refunc times the functions of a program that was never rebuilt, accounts for its heap, and\n"
    "watches what it takes of the system.\n";

static const char *const examples[][2] = {
    {"refunc run --trace 'SSL_*' -- ./app its arguments", "time functions, print the report"},
    {"refunc run --preset full -- ./app", "heap and system by function as well"},
    {"refunc report", "the newest run again"},
    {"refunc report --format json RUN > new.json", "for scripts"},
    {"refunc compare base.json new.json", "status 1 when something became slower"},
    {"refunc check --trace 'ns::*' -- ./app", "what would be timed, without running it"},
};

#define HELP_COLUMNS 96

/* Where the text beside an option begins ("  --all   every ..."), or 0 for plain paragraphs. */
static size_t hanging_indent(const char *line) {
  if (*line != ' ') return 0;
  size_t at = strspn(line, " ");
  const char *gap = strstr(line + at, "  ");
  return gap ? (size_t)(gap - line) + strspn(gap, " ") : at;
}

/* One line or paragraph of length bytes, wrapped at blanks. */
static void print_wrapped(FILE *out, const char *text, size_t length, size_t indent) {
  for (size_t room = HELP_COLUMNS; length > room; room = HELP_COLUMNS - indent) {
    size_t cut = room;
    while (cut && text[cut] != ' ') cut--;
    if (!cut) break;
    fprintf(out, "%.*s\n%*s", (int)cut, text, (int)indent, "");
    text += cut + 1;
    length -= cut + 1;
  }
  fprintf(out, "%.*s\n", (int)length, text);
}

/* Help texts: unindented lines that follow each other are one paragraph, indented ones stand alone. */
static void print_help(FILE *out, const char *text) {
  char paragraph[2048];
  while (*text) {
    size_t length = 0;
    size_t indent = hanging_indent(text);
    do {
      size_t line = strcspn(text, "\n");
      if (length) paragraph[length++] = ' ';
      line = line < sizeof paragraph - length - 2 ? line : sizeof paragraph - length - 2;
      memcpy(paragraph + length, text, line);
      length += line;
      text += line + (text[line] == '\n');
    } while (!indent && length && *text && *text != '\n' && *text != ' ');
    print_wrapped(out, paragraph, length, indent);
  }
}

const char *rf_help_nearest_command(const char *name) {
  const char *names[32];
  size_t count = 0;
  for (size_t i = 0; rf_commands[i] && count < 32; i++)
    if (!rf_commands[i]->internal) names[count++] = rf_commands[i]->name;
  return rf_nearest(name, names, count);
}

int rf_help_main(FILE *out) {
  fprintf(out, "usage: refunc COMMAND ...\n\n%s\ncommands:\n", intro);
  for (size_t i = 0; rf_commands[i]; i++)
    if (!rf_commands[i]->internal) fprintf(out, "  %-9s %s\n", rf_commands[i]->name, rf_commands[i]->summary);
  fprintf(out, "\nexamples:\n");
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++)
    fprintf(out, "  %-52s %s\n", examples[i][0], examples[i][1]);
  fprintf(out, "\nrefunc COMMAND --help says more. With nothing but the library:\n"
               "  LD_PRELOAD=librefunc_preload.so REFUNC_TRACE='train_epoch,libssl.so*!SSL_*' ./app\n");
  return RF_OK;
}

static const char *shown_values(enum rf_option option) {
  const char *values = rf_option_values(option);
  if (strcmp(values, "ONOFF") == 0) return "on|off";
  return strcmp(values, "AUTO") == 0 ? "auto|on|off" : values;
}

/* heap.mode counters|off|sampled|exact: one line an option, wrapped by hand at 100 columns. */
static void print_option(FILE *out, enum rf_option option) {
  const char *key = rf_option_key(option), *fallback = rf_option_default(option);
  fprintf(out, "  --%s %s\n", strncmp(key, "refunc.", 7) == 0 ? key + 7 : key, shown_values(option));
  char text[512];
  bool shown = *fallback && strlen(fallback) < 40;
  int length = snprintf(text, sizeof text, "      %s%s%s%s", rf_option_help(option),
                        shown ? " (default: " : "", shown ? fallback : "", shown ? ")" : "");
  print_wrapped(out, text, (size_t)length, 6);
}

int rf_help_command(FILE *out, const struct rf_command *command) {
  char usage[512];
  int length = snprintf(usage, sizeof usage, "usage: refunc %s %s", command->name, command->usage);
  print_wrapped(out, usage, (size_t)length, 8);
  fprintf(out, "\n%s\n", command->summary);
  if (command->help) fputc('\n', out);
  if (command->help) print_help(out, command->help);
  if (!command->settings) return RF_OK;
  print_help(out, "\noptions of the library (--set KEY=VALUE is the same):\n"
                  "  --trace PATTERN\n      short for --trace.functions; may be repeated\n"
                  "  --config FILE\n      read options from this file\n");
  for (int i = 0; i < RF_OPTION_COUNT; i++) print_option(out, (enum rf_option)i);
  return RF_OK;
}

/* --- man page --- */

/* Text for roff: backslashes, hyphens and leading dots lose their meaning. */
static void roff(FILE *out, const char *text) {
  bool line_start = true;
  for (; *text; text++) {
    if (line_start && (*text == '.' || *text == '\'')) fputs("\\&", out);
    if (*text == '\\')
      fputs("\\e", out);
    else if (*text == '-')
      fputs("\\-", out);
    else
      fputc(*text, out);
    line_start = *text == '\n';
  }
}

static void man_command(FILE *out, const struct rf_command *command) {
  fprintf(out, ".SS \"refunc %s ", command->name);
  roff(out, command->usage);
  fputs("\"\n", out);
  roff(out, command->summary);
  fputc('\n', out);
  if (!command->help) return;
  fputs(".PP\n.nf\n", out);
  roff(out, command->help);
  fputs(".fi\n", out);
}

static void man_option(FILE *out, enum rf_option option) {
  fprintf(out, ".TP\n.BR %s \" (", rf_option_key(option));
  roff(out, shown_values(option));
  fputs(")\"\n", out);
  roff(out, rf_option_help(option));
  fprintf(out, ".\n.br\nEnvironment: %s.", rf_option_environment(option));
  if (*rf_option_default(option)) {
    fputs(" Default: ", out);
    roff(out, rf_option_default(option));
    fputc('.', out);
  }
  fputc('\n', out);
}

int rf_help_man(FILE *out) {
  fprintf(out, ".TH REFUNC 1 \"\" \"refunc %s\" \"User Commands\"\n", REFUNC_VERSION);
  fputs(".SH NAME\nrefunc \\- time functions, account for the heap and watch the system, of programs as they "
        "are\n",
        out);
  fputs(".SH SYNOPSIS\n.B refunc\n.I COMMAND\n\\&...\n.SH DESCRIPTION\n", out);
  roff(out, intro);
  fputs(".SH COMMANDS\n", out);
  for (size_t i = 0; rf_commands[i]; i++)
    if (!rf_commands[i]->internal) man_command(out, rf_commands[i]);
  fputs(".SH OPTIONS\nEach is a key of the config file, a variable of the environment, and an argument "
        "of\n.BR run ,\n"
        ".B check\nand\n.B config\n(\\-\\-KEY VALUE). The command line wins over the environment, that over "
        "the file, that "
        "over the preset, that over the default.\n",
        out);
  for (int i = 0; i < RF_OPTION_COUNT; i++) man_option(out, (enum rf_option)i);
  fputs(".SH EXAMPLES\n.nf\n", out);
  for (size_t i = 0; i < sizeof examples / sizeof *examples; i++) {
    roff(out, examples[i][0]);
    fputc('\n', out);
  }
  fputs(".fi\n", out);
  return RF_OK;
}

/* --- completion --- */

int rf_help_completion(FILE *out) {
  fputs("# bash completion for refunc\n_refunc() {\n  local current=${COMP_WORDS[COMP_CWORD]} "
        "previous=${COMP_WORDS[COMP_CWORD-1]} words\n"
        "  local i; for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "    if [[ ${COMP_WORDS[i]} == -- ]]; then _command_offset $((i + 1)); return; fi\n  done\n",
        out);
  fputs("  if ((COMP_CWORD == 1)); then\n    words='", out);
  for (size_t i = 0; rf_commands[i]; i++)
    if (!rf_commands[i]->internal) fprintf(out, "%s ", rf_commands[i]->name);
  fputs("--help --version'\n  elif [[ $previous == --format ]]; then\n    words='text json csv openmetrics "
        "markdown junit'\n",
        out);
  for (int i = 0; i < RF_OPTION_COUNT; i++) {
    const char *values = rf_option_values((enum rf_option)i), *key = rf_option_key((enum rf_option)i);
    bool on_off = strcmp(values, "ONOFF") == 0, automatic = strcmp(values, "AUTO") == 0;
    if (!on_off && !automatic && !strchr(values, '|')) continue;
    fprintf(out, "  elif [[ $previous == --%s", key);
    if (strncmp(key, "refunc.", 7) == 0) fprintf(out, " || $previous == --%s", key + 7);
    fputs(" ]]; then\n    words='", out);
    for (const char *at = on_off ? "on off" : automatic ? "auto on off" : values; *at; at++)
      fputc(*at == '|' ? ' ' : *at, out);
    fputs("'\n", out);
  }
  fputs("  elif [[ $current == -* ]]; then\n    words='--help", out);
  fputs(" --trace --config --set", out);
  for (int i = 0; i < RF_OPTION_COUNT; i++) fprintf(out, " --%s", rf_option_key((enum rf_option)i));
  fputs(
      "'\n  else\n    COMPREPLY=($(compgen -f -- \"$current\")); return\n  fi\n"
      "  COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n}\ncomplete -o filenames -F _refunc refunc\n",
      out);
  return RF_OK;
}

/* --- refunc help [COMMAND] --- */

static int run_help(int argc, char **argv) {
  if (argc < 2) return rf_help_main(stdout);
  const struct rf_command *command = rf_command_find(argv[1]);
  if (command) return rf_help_command(stdout, command);
  return rf_fail(RF_UNUSABLE, "help: %s is no command (refunc --help lists them)", argv[1]);
}

const struct rf_command rf_command_help = {
    .name = "help", .usage = "[COMMAND]", .summary = "what a command does and takes", .run = run_help};
