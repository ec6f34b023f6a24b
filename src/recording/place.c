/* See place.h. */
#include "recording/place.h"

#include <errno.h>

#include "recording/compose.h"
#include "recording/raw.h"

const char *rf_place_variable(char *const *environment, const char *name) {
  for (; environment && *environment; environment++) {
    const char *at = *environment, *wanted = name;
    while (*wanted && *at == *wanted) at++, wanted++;
    if (!*wanted && *at == '=') return at + 1;
  }
  return NULL;
}

const char *rf_place_rank(char *const *environment) {
  static const char *const names[] = {"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    const char *value = rf_place_variable(environment, names[i]);
    if (value && *value) return value;
  }
  return "0";
}

/* ---- parts of names ---- */

/* A fact inside a file name: one component, nothing that a terminal would obey. */
static void put_safe(struct rf_text *text, const char *fact) {
  for (; fact && *fact; fact++) {
    unsigned char c = (unsigned char)*fact;
    rf_text_char(text, c < 0x20 || c == 0x7f || c == '/' ? '_' : *fact);
  }
}

struct civil {
  uint64_t year, month, day;
};

/* Days since 1970-01-01 to a date of the Gregorian calendar. Years are counted from March, so that the leap
 * day is last. */
static struct civil civil_of_days(uint64_t days) {
  uint64_t shifted = days + 719468; /* since 0000-03-01 */
  uint64_t era = shifted / 146097, in_era = shifted % 146097;
  uint64_t year = (in_era - in_era / 1460 + in_era / 36524 - in_era / 146096) / 365;
  uint64_t in_year = in_era - (365 * year + year / 4 - year / 100);
  uint64_t march_month = (5 * in_year + 2) / 153;
  uint64_t day = in_year - (153 * march_month + 2) / 5 + 1;
  uint64_t month = march_month < 10 ? march_month + 3 : march_month - 9;
  return (struct civil){year + era * 400 + (month <= 2), month, day};
}

/* UTC, with milliseconds, in an order that names sort by: 20261126T054530.123Z. */
static void put_time(struct rf_text *text, int64_t realtime_ns) {
  uint64_t ms = realtime_ns < 0 ? 0 : (uint64_t)realtime_ns / 1000000, s = ms / 1000;
  struct civil date = civil_of_days(s / 86400);
  rf_text_padded(text, date.year, 4);
  rf_text_padded(text, date.month, 2);
  rf_text_padded(text, date.day, 2);
  rf_text_char(text, 'T');
  rf_text_padded(text, s / 3600 % 24, 2);
  rf_text_padded(text, s / 60 % 60, 2);
  rf_text_padded(text, s % 60, 2);
  rf_text_char(text, '.');
  rf_text_padded(text, ms % 1000, 3);
  rf_text_char(text, 'Z');
}

static void put_executable(struct rf_text *text, const struct rf_place_facts *facts) {
  put_safe(text, facts->executable && *facts->executable ? facts->executable : "unknown");
}

static bool put_field(struct rf_text *text, char letter, const struct rf_place_facts *facts) {
  switch (letter) {
  case 'e': put_executable(text, facts); return true;
  case 'p': rf_text_number(text, facts->pid); return true;
  case 'h': put_safe(text, facts->hostname && *facts->hostname ? facts->hostname : "localhost"); return true;
  case 'r': put_safe(text, facts->rank && *facts->rank ? facts->rank : "0"); return true;
  case 't': put_time(text, facts->start_realtime_ns); return true;
  case '%': rf_text_char(text, '%'); return true;
  default: return false;
  }
}

/* ---- whole names ---- */

static int outcome(const struct rf_text *text) { return text->overflow ? -ENAMETOOLONG : 0; }

int rf_place_expand(char *path, size_t size, const char *pattern, const struct rf_place_facts *facts) {
  struct rf_text text = rf_text_in(path, size);
  if (pattern[0] != '/' && facts->root_dir) {
    rf_text_put(&text, facts->root_dir);
    if (text.length && path[text.length - 1] != '/') rf_text_char(&text, '/');
  }
  for (; *pattern; pattern++) {
    if (*pattern != '%')
      rf_text_char(&text, *pattern);
    else if (!put_field(&text, *++pattern, facts))
      return -EINVAL;
  }
  return outcome(&text);
}

int rf_place_state(char *path, size_t size, const char *home, const char *state_home) {
  struct rf_text text = rf_text_in(path, size);
  if (state_home && state_home[0] == '/') {
    rf_text_put(&text, state_home);
    rf_text_put(&text, "/refunc");
  } else if (home && home[0] == '/') {
    rf_text_put(&text, home);
    rf_text_put(&text, home[1] ? "/.local/state/refunc" : ".local/state/refunc");
  } else {
    return -ENOENT;
  }
  return outcome(&text);
}

int rf_place_run_dir(char *path, size_t size, const struct rf_place_facts *facts) {
  int result = rf_place_state(path, size, facts->home, facts->state_home);
  if (result < 0) return result;
  struct rf_text text = {path, size, rf_text_length(path), false};
  rf_text_char(&text, '/');
  put_time(&text, facts->start_realtime_ns);
  rf_text_char(&text, '-');
  put_executable(&text, facts);
  rf_text_char(&text, '-');
  rf_text_number(&text, facts->pid);
  return outcome(&text);
}

static int output_in_run(char *path, size_t size, const char *run_dir, const struct rf_place_facts *facts) {
  if (!run_dir || run_dir[0] != '/') return -ENOENT;
  struct rf_text text = rf_text_in(path, size);
  rf_text_put(&text, run_dir);
  rf_text_char(&text, '/');
  put_executable(&text, facts);
  rf_text_char(&text, '-');
  rf_text_number(&text, facts->pid);
  rf_text_put(&text, RF_PLACE_ENDING);
  return outcome(&text);
}

int rf_place_output(char *path, size_t size, const char *option, const char *run_dir,
                    const struct rf_place_facts *facts) {
  if (size) path[0] = 0;
  if (rf_text_equal(option, "none")) return 1;
  if (!option[0] || rf_text_equal(option, "auto")) return output_in_run(path, size, run_dir, facts);
  return rf_place_expand(path, size, option, facts);
}

bool rf_place_numbered(char *path, size_t size, const char *wanted, unsigned number) {
  if (number <= 1) return rf_text_copy(path, size, wanted);
  const char *slash = rf_text_last(wanted, '/'), *base = slash ? slash + 1 : wanted;
  const char *dot = rf_text_last(base, '.');
  struct rf_text text = rf_text_in(path, size);
  const char *at = wanted;
  for (; *at && (at != dot || dot == base); at++) rf_text_char(&text, *at);
  rf_text_char(&text, '.');
  rf_text_number(&text, number);
  rf_text_put(&text, at);
  return !text.overflow;
}

int rf_place_make_parents(const char *path, unsigned mode) {
  char folder[4096];
  struct rf_text text = rf_text_in(folder, sizeof folder);
  long result = 0;
  for (; *path && !text.overflow; path++) {
    if (*path == '/' && text.length) result = rf_syscall(SYS_mkdirat, AT_FDCWD, folder, mode);
    rf_text_char(&text, *path);
  }
  if (text.overflow) return -ENAMETOOLONG;
  return result == -EEXIST ? 0 : (int)result;
}
