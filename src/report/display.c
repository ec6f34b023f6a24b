/* See display.h. */
#include "report/display.h"

#include <langinfo.h>
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

struct rf_style rf_style_for(int fd, const char *terminal, const char *no_colour) {
  struct rf_style style = {.width = 100};
  struct winsize size;
  bool is_terminal = isatty(fd);
  setlocale(LC_CTYPE, "");
  style.unicode = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
  style.colour = is_terminal && !(no_colour && *no_colour) && terminal && strcmp(terminal, "dumb") != 0;
  if (is_terminal && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col >= 60 && size.ws_col < 100)
    style.width = size.ws_col;
  return style;
}

/* --- numbers --- */

static char *ring(void) {
  static char buffers[16][32];
  static unsigned next;
  return buffers[next++ % 16];
}

/* Three significant digits: 1.23, 12.3, 123. At most 8 columns, whatever the value; gives their number. */
static int three_digits(char *out, size_t size, double value) {
  if (value >= 99999.5) return snprintf(out, size, "%.1e", value); /* only in damaged recordings */
  int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return snprintf(out, size, "%.*f", decimals, value);
}

static void long_duration(char *out, double s) {
  if (s < 3600)
    snprintf(out, 32, "%dm %02ds", (int)(s / 60), (int)fmod(s, 60));
  else if (s < 100 * 3600)
    snprintf(out, 32, "%dh %02dm", (int)(s / 3600), (int)(fmod(s, 3600) / 60));
  else
    snprintf(out, 32, "%.0fd", fmin(s / 86400, 99999));
}

const char *rf_show_duration(double seconds, const struct rf_style *style) {
  char *out = ring();
  static const char *const units[] = {"ns", "\u00b5s", "ms", "s"}, *const plain[] = {"ns", "us", "ms", "s"};
  if (!isfinite(seconds)) return "-";
  double value = fabs(seconds) * 1e9;
  size_t unit = 0;
  while (unit < 3 && value >= 999.5) {
    value /= 1000;
    unit++;
  }
  if (unit == 3 && value >= 99.95) {
    long_duration(out, value);
    return out;
  }
  if (value == 0) return "0";
  int n = unit == 0 && value >= 9.95 ? snprintf(out, 32, "%.0f", value) : three_digits(out, 32, value);
  snprintf(out + n, 32 - (size_t)n, " %s", (style->unicode ? units : plain)[unit]);
  return out;
}

const char *rf_show_bytes(double bytes) {
  char *out = ring();
  static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  if (!isfinite(bytes)) return "-";
  double value = fabs(bytes);
  size_t unit = 0;
  while (unit < 6 && value >= 999.5) {
    value /= 1024;
    unit++;
  }
  char *at = bytes < 0 ? (*out = '-', out + 1) : out;
  int n = unit == 0 ? snprintf(at, 30, "%.0f", value) : three_digits(at, 30, value);
  snprintf(at + n, 30 - (size_t)n, " %s", units[unit]);
  return out;
}

const char *rf_show_count(double count) {
  char *out = ring();
  static const char *const units[] = {"", "k", "M", "G", "T", "P", "E"};
  if (!isfinite(count)) return "-";
  if (count < 999999.5) {
    snprintf(out, 32, "%.0f", count);
    return out;
  }
  size_t unit = 0;
  while (unit < 6 && count >= 999.5) {
    count /= 1000;
    unit++;
  }
  int n = three_digits(out, 32, count);
  snprintf(out + n, 32 - (size_t)n, "%s", units[unit]);
  return out;
}

const char *rf_show_ratio(double ratio) {
  char *out = ring();
  if (!isfinite(ratio)) return "-";
  snprintf(out, 32, fabs(ratio) < 0.0995 ? "%.1f%%" : "%.0f%%", ratio * 100);
  return out;
}

/* --- text --- */

/* Decodes one code point; *length is what it takes. -1: not UTF-8 (shortest form, no surrogates), one byte is
 * taken. */
static int32_t decode(const unsigned char *text, size_t *length) {
  static const uint32_t lowest[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t need = *text < 0x80                    ? 1
                : *text >= 0xf0 && *text < 0xf8 ? 4
                : *text >= 0xe0                 ? 3
                : *text >= 0xc0                 ? 2
                                                : 0;
  *length = 1;
  if (need == 1) return *text;
  if (need == 0 || *text >= 0xf8) return -1;
  uint32_t code = *text & (0x7fu >> need);
  for (size_t i = 1; i < need; i++) {
    if ((text[i] & 0xc0) != 0x80) return -1;
    code = code << 6 | (text[i] & 0x3f);
  }
  if (code < lowest[need] || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return -1;
  *length = need;
  return (int32_t)code;
}

static bool invisible(int32_t c) {
  return (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) ||
         c == 0xfeff || c == 0x061c || c == 0x00ad || (c >= 0xe0000 && c <= 0xe0fff) ||
         (c >= 0xfff0 && c <= 0xfffb);
}

struct glyph {
  char bytes[16];
  size_t length, columns, taken;
};

/* The next piece of text as it may be shown. */
static struct glyph next_glyph(const char *text, const struct rf_style *style) {
  struct glyph g;
  int32_t code = decode((const unsigned char *)text, &g.taken);
  int columns = code < 0         ? -1
                : code < 0x7f    ? (code >= 0x20 ? 1 : -1)
                : style->unicode ? wcwidth((wchar_t)code)
                                 : -1;
  if (code < 0)
    g.length = (size_t)snprintf(g.bytes, sizeof g.bytes, "\\x%02x", (unsigned char)*text);
  else if (columns < 0 || invisible(code))
    g.length = (size_t)snprintf(g.bytes, sizeof g.bytes, code < 0x80 ? "\\x%02x" : "\\u{%x}", (unsigned)code);
  else {
    memcpy(g.bytes, text, g.taken);
    g.length = g.taken;
    g.columns = (size_t)columns;
    return g;
  }
  g.columns = g.length;
  return g;
}

size_t rf_text_columns(const char *text, const struct rf_style *style) {
  size_t columns = 0;
  while (*text) {
    struct glyph g = next_glyph(text, style);
    columns += g.columns;
    text += g.taken;
  }
  return columns;
}

static size_t add_up_to(struct rf_buffer *out, const char *text, size_t columns,
                        const struct rf_style *style) {
  size_t used = 0;
  while (*text) {
    struct glyph g = next_glyph(text, style);
    if (used + g.columns > columns) break;
    rf_buffer_add(out, g.bytes, g.length);
    used += g.columns;
    text += g.taken;
  }
  return used;
}

/* Where the last columns of text begin. */
static const char *tail_of(const char *text, size_t total, size_t columns, const struct rf_style *style) {
  while (*text && total > columns) {
    struct glyph g = next_glyph(text, style);
    total -= g.columns;
    text += g.taken;
  }
  return text;
}

size_t rf_add_text(struct rf_buffer *out, const char *text, size_t columns, const struct rf_style *style) {
  size_t total = rf_text_columns(text, style);
  if (total <= columns) return add_up_to(out, text, columns, style);
  const char *ellipsis = style->unicode ? "\u2026" : "..";
  size_t mark = style->unicode ? 1 : 2;
  if (columns <= mark + 2) return add_up_to(out, text, columns, style);
  size_t rear = (columns - mark) * 2 / 5;
  size_t used = add_up_to(out, text, columns - mark - rear, style);
  rf_buffer_text(out, ellipsis);
  return used + mark + add_up_to(out, tail_of(text, total, rear, style), rear, style);
}

void rf_add_padded(struct rf_buffer *out, const char *text, size_t columns, bool right,
                   const struct rf_style *style) {
  size_t total = rf_text_columns(text, style);
  if (right && total < columns) rf_buffer_repeat(out, " ", columns - total);
  size_t used = rf_add_text(out, text, columns, style);
  if (!(right && total < columns)) rf_buffer_repeat(out, " ", columns - used);
}

/* --- graphics --- */

void rf_add_bar(struct rf_buffer *out, double value, double full, size_t columns,
                const struct rf_style *style) {
  static const char *const part[] = {"",       "\u258f", "\u258e", "\u258d",
                                     "\u258c", "\u258b", "\u258a", "\u2589"};
  double share = full > 0 && value > 0 ? fmin(value / full, 1) : 0;
  size_t steps = style->unicode ? 8 : 1;
  size_t units = (size_t)(share * (double)(columns * steps) + 0.5);
  if (share > 0 && units == 0) units = 1;
  size_t whole = units / steps, rest = units % steps;
  rf_buffer_repeat(out, style->unicode ? "\u2588" : "#", whole);
  if (rest) rf_buffer_text(out, part[rest]);
  rf_buffer_repeat(out, " ", columns - whole - (rest != 0));
}

void rf_add_sparkline(struct rf_buffer *out, const double *values, size_t count, double full,
                      const struct rf_style *style) {
  static const char *const blocks[] = {" ",      "\u2581", "\u2582", "\u2583", "\u2584",
                                       "\u2585", "\u2586", "\u2587", "\u2588"};
  static const char *const plain[] = {" ", ".", ".", ":", "-", "=", "+", "*", "#"};
  for (size_t i = 0; i < count; i++) {
    double share = full > 0 && values[i] > 0 ? fmin(values[i] / full, 1) : 0;
    size_t level = share > 0 ? 1 + (size_t)(share * 7 + 0.5) : 0;
    rf_buffer_text(out, (style->unicode ? blocks : plain)[level > 8 ? 8 : level]);
  }
}

void rf_add_colour(struct rf_buffer *out, enum rf_colour colour, const struct rf_style *style) {
  static const char *const codes[] = {"\033[0m",  "\033[2m",  "\033[1m", "\033[32m",
                                      "\033[33m", "\033[31m", "\033[36m"};
  if (style->colour) rf_buffer_text(out, codes[colour]);
}
