/* See text.h. One loop over characters; a form says how one of them is written. */
#include "base/text.h"

#include <string.h>

#define LONGEST 8

/* Writes a character (length 0: the byte at text isn't UTF-8) into at most LONGEST bytes; returns how many.
 */
typedef size_t form(char *out, const char *text, size_t length);

static unsigned byte(const char *text, size_t i) { return (unsigned char)text[i]; }

size_t rf_text_utf8(const char *text, size_t length) {
  if (length == 0) return 0;
  unsigned first = byte(text, 0);
  if (first < 0x80) return 1;
  size_t n = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || n > length) return 0;
  for (size_t i = 1; i < n; i++)
    if ((byte(text, i) & 0xc0) != 0x80) return 0;
  unsigned second = byte(text, 1);
  if (first == 0xe0 && second < 0xa0) return 0; /* longer than needed */
  if (first == 0xed && second > 0x9f) return 0; /* surrogates */
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second > 0x8f) return 0;
  return n;
}

/* The code of a control character, -1 for others. */
static int control(const char *text, size_t length) {
  unsigned first = byte(text, 0);
  if (length == 1 && (first < 0x20 || first == 0x7f)) return (int)first;
  if (length == 2 && first == 0xc2 && byte(text, 1) < 0xa0) return (int)byte(text, 1);
  return -1;
}

static size_t hex(char *out, const char *prefix, unsigned code) {
  size_t n = strlen(prefix);
  memcpy(out, prefix, n);
  out[n] = "0123456789abcdef"[code >> 4 & 15];
  out[n + 1] = "0123456789abcdef"[code & 15];
  return n + 2;
}

static size_t plain(char *out, const char *text, size_t length) {
  memcpy(out, text, length);
  return length;
}

static size_t visible(char *out, const char *text, size_t length) {
  if (length == 0) return hex(out, "\\x", byte(text, 0));
  int code = control(text, length);
  if (code < 0) return plain(out, text, length);
  if (code == '\n') return plain(out, "\\n", 2);
  if (code == '\t') return plain(out, "\\t", 2);
  return hex(out, "\\x", (unsigned)code);
}

static size_t json(char *out, const char *text, size_t length) {
  if (length == 0) return plain(out, "\\ufffd", 6);
  int code = control(text, length);
  if (code == '\n') return plain(out, "\\n", 2);
  if (code >= 0) return hex(out, "\\u00", (unsigned)code);
  if (*text == '"' || *text == '\\') {
    out[0] = '\\';
    out[1] = *text;
    return 2;
  }
  return plain(out, text, length);
}

static size_t write_all(form *write, char *out, size_t room, const char *text, size_t length) {
  size_t used = 0;
  while (length > 0) {
    char piece[LONGEST];
    size_t n = rf_text_utf8(text, length), written = write(piece, text, n);
    if (written >= room - used) break;
    memcpy(out + used, piece, written);
    used += written;
    text += n ? n : 1;
    length -= n ? n : 1;
  }
  out[used] = 0;
  return used;
}

size_t rf_text_visible(char *out, size_t room, const char *bytes, size_t length) {
  return write_all(visible, out, room, bytes, length);
}

size_t rf_text_json(char *out, size_t room, const char *bytes, size_t length) {
  return write_all(json, out, room, bytes, length);
}
