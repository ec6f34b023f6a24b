/* See json_writer.h. */
#include "report/json_writer.h"

#include <math.h>

static void begin_element(struct rf_json *json, const char *key) {
  uint64_t bit = 1ull << (json->depth & 63);
  if (json->filled & bit) rf_buffer_char(json->out, ',');
  if (json->depth) {
    if (json->flat & bit)
      rf_buffer_text(json->out, json->filled & bit ? " " : "");
    else {
      rf_buffer_char(json->out, '\n');
      rf_buffer_repeat(json->out, "  ", json->depth);
    }
  }
  json->filled |= bit;
  if (!key) return;
  rf_json_text(&(struct rf_json){.out = json->out}, NULL, key);
  rf_buffer_text(json->out, ": ");
}

static void open_container(struct rf_json *json, const char *key, char bracket, bool flat) {
  begin_element(json, key);
  rf_buffer_char(json->out, bracket);
  bool inherited = json->flat >> (json->depth & 63) & 1;
  json->depth++;
  uint64_t bit = 1ull << (json->depth & 63);
  json->filled &= ~bit;
  json->flat = flat || inherited ? json->flat | bit : json->flat & ~bit;
}

void rf_json_open(struct rf_json *json, const char *key, char bracket) {
  open_container(json, key, bracket, false);
}
void rf_json_open_flat(struct rf_json *json, const char *key, char bracket) {
  open_container(json, key, bracket, true);
}

void rf_json_close(struct rf_json *json, char bracket) {
  uint64_t bit = 1ull << (json->depth & 63);
  bool empty = !(json->filled & bit), flat = json->flat & bit;
  json->depth--;
  if (!empty && !flat) {
    rf_buffer_char(json->out, '\n');
    rf_buffer_repeat(json->out, "  ", json->depth);
  }
  rf_buffer_char(json->out, bracket);
}

void rf_json_number(struct rf_json *json, const char *key, double value) {
  begin_element(json, key);
  if (!isfinite(value))
    rf_buffer_text(json->out, "null");
  else if (value == floor(value) && fabs(value) < 9223372036854775808.0)
    rf_buffer_printf(json->out, "%.0f", value == 0 ? 0 : value);
  else
    rf_buffer_printf(json->out, "%.9g", value);
}

void rf_json_count(struct rf_json *json, const char *key, uint64_t value) {
  begin_element(json, key);
  rf_buffer_printf(json->out, "%llu", (unsigned long long)value);
}

void rf_json_bool(struct rf_json *json, const char *key, bool value) {
  begin_element(json, key);
  rf_buffer_text(json->out, value ? "true" : "false");
}

/* Bytes of the well-formed UTF-8 sequence at text, 0 when there is none. */
static size_t sequence(const unsigned char *t) {
  if (*t < 0x80) return 1;
  if (*t >= 0xc2 && *t < 0xe0) return (t[1] & 0xc0) == 0x80 ? 2 : 0;
  bool second = (t[1] & 0xc0) == 0x80;
  if (*t >= 0xe0 && *t < 0xf0) {
    if (!second || (*t == 0xe0 && t[1] < 0xa0) || (*t == 0xed && t[1] >= 0xa0)) return 0;
    return (t[2] & 0xc0) == 0x80 ? 3 : 0;
  }
  if (*t >= 0xf0 && *t < 0xf5) {
    if (!second || (*t == 0xf0 && t[1] < 0x90) || (*t == 0xf4 && t[1] >= 0x90)) return 0;
    return (t[2] & 0xc0) == 0x80 && (t[3] & 0xc0) == 0x80 ? 4 : 0;
  }
  return 0;
}

/* C1 controls, line separators and bidirectional marks: harmless to JSON, not to the terminal that shows it.
 */
static unsigned risky(const unsigned char *t, size_t length) {
  unsigned code = length == 2   ? (t[0] & 0x1fu) << 6 | (t[1] & 0x3fu)
                  : length == 3 ? (t[0] & 0xfu) << 12 | (t[1] & 0x3fu) << 6 | (t[2] & 0x3fu)
                                : 0;
  bool bad = (code >= 0x80 && code < 0xa0) || (code >= 0x200b && code <= 0x200f) ||
             (code >= 0x2028 && code <= 0x202e) || (code >= 0x2060 && code <= 0x206f) || code == 0xfeff;
  return bad ? code : 0;
}

void rf_json_text(struct rf_json *json, const char *key, const char *text) {
  begin_element(json, key);
  rf_buffer_char(json->out, '"');
  for (const unsigned char *t = (const unsigned char *)text; *t;) {
    size_t length = sequence(t);
    if (length == 0)
      rf_buffer_text(json->out, "\\ufffd");
    else if (*t == '"' || *t == '\\')
      rf_buffer_printf(json->out, "\\%c", *t);
    else if (*t == '\n')
      rf_buffer_text(json->out, "\\n");
    else if (*t < 0x20 || *t == 0x7f || *t == '<' || *t == '>' || *t == '&')
      rf_buffer_printf(json->out, "\\u%04x", *t);
    else if (risky(t, length))
      rf_buffer_printf(json->out, "\\u%04x", risky(t, length));
    else
      rf_buffer_add(json->out, (const char *)t, length);
    t += length ? length : 1;
  }
  rf_buffer_char(json->out, '"');
}
