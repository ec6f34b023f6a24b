/*
 * See config.h. Two passes over a copy of the file, both libyaml's event parser:
 *
 *   text ──▶ 1. mend (config_mend.c): lines that are no YAML are reported and blanked out
 *        ──▶ 2. read: events into keys and values; whatever is YAML but not what was meant is reported and skipped
 *
 * so that one bad line costs that line, not everything below it. libyaml comes from a static archive whose
 * allocator is ours; a failing assertion of it ends the reading, not the app.
 */
#include "base/config.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "arch/arch.h"
#include "base/config_mend.h"
#include "base/memory.h"
#include "base/pool.h"
#include "base/recover.h"

#define BYTES_MAX (4u << 20)
#define MESSAGE 400

struct reader {
  const struct rf_config_handler *handler;
  char *text; /* ours to blank lines in */
  size_t length;
  yaml_parser_t parser;
  yaml_event_t event;
  bool ended; /* by the end, an error or a lack of memory: no more events */
  struct rf_pool pool;
  const char *path[RF_CONFIG_DEPTH];
  size_t cursor, cursor_index; /* a byte of text and its index in characters, as libyaml counts */
  struct seen *seen;           /* keys so far */
  size_t seen_count, seen_room;
};

struct seen {
  const char *path;
  unsigned line;
};

static void problem(struct reader *r, unsigned line, const char *key, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void problem(struct reader *r, unsigned line, const char *key, const char *format, ...) {
  char message[MESSAGE];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  r->handler->problem(r->handler->user, line, key, message);
}

static void start(struct reader *r) {
  r->ended = !yaml_parser_initialize(&r->parser);
  if (r->ended) return;
  yaml_parser_set_encoding(&r->parser, YAML_UTF8_ENCODING);
  yaml_parser_set_input_string(&r->parser, (const unsigned char *)r->text, r->length);
}

static bool next(struct reader *r) {
  yaml_event_delete(&r->event);
  if (r->ended || !yaml_parser_parse(&r->parser, &r->event)) r->ended = true;
  if (r->ended) r->event = (yaml_event_t){.type = YAML_NO_EVENT};
  return !r->ended;
}

static unsigned event_line(const struct reader *r) { return (unsigned)r->event.start_mark.line + 1; }

/* Goes past the node whose first event is the current one. */
static void skip(struct reader *r) {
  long depth = 0;
  do {
    yaml_event_type_t type = r->event.type;
    depth += type == YAML_SEQUENCE_START_EVENT || type == YAML_MAPPING_START_EVENT;
    depth -= type == YAML_SEQUENCE_END_EVENT || type == YAML_MAPPING_END_EVENT;
  } while (depth > 0 && next(r));
}

static const char *dotted(struct reader *r, size_t depth) {
  const char *all = depth ? r->path[0] : "";
  for (size_t i = 1; all && i < depth; i++) all = rf_pool_join(&r->pool, all, ".", r->path[i]);
  return all ? all : "";
}

static size_t slot_of(const struct reader *r, const char *path) {
  uint64_t hash = 14695981039346656037u;
  for (const char *at = path; *at; at++) hash = (hash ^ (unsigned char)*at) * 1099511628211u;
  size_t i = hash & (r->seen_room - 1);
  while (r->seen[i].path && strcmp(r->seen[i].path, path) != 0) i = (i + 1) & (r->seen_room - 1);
  return i;
}

static bool make_room_for_key(struct reader *r) {
  if (r->seen_count * 2 < r->seen_room) return true;
  size_t old_room = r->seen_room, room = old_room ? old_room * 2 : 64;
  struct seen *old = r->seen, *larger = rf_pool_take(&r->pool, room * sizeof *larger);
  if (!larger) return false;
  r->seen = larger;
  r->seen_room = room;
  for (size_t i = 0; i < old_room; i++)
    if (old[i].path) larger[slot_of(r, old[i].path)] = old[i];
  return true;
}

/* The line that a key stood on before, or 0: then it is remembered. */
static unsigned seen_before(struct reader *r, const char *path, unsigned line) {
  if (!make_room_for_key(r)) return 0;
  struct seen *slot = &r->seen[slot_of(r, path)];
  if (slot->path) return slot->line;
  *slot = (struct seen){path, line};
  r->seen_count++;
  return 0;
}

/* The text at a mark. Marks count characters, and are asked for in rising order. */
static const char *text_at(struct reader *r, size_t index) {
  for (; r->cursor_index < index && r->cursor < r->length; r->cursor_index++)
    for (r->cursor++; r->cursor < r->length && (r->text[r->cursor] & 0xc0) == 0x80;) r->cursor++;
  return r->text + r->cursor;
}

/* What follows a plain scalar behind ` #`, up to the end of the line, unless it is set off as a comment ("#
 * ..."). */
static const char *text_behind(struct reader *r) {
  const char *at = text_at(r, r->event.end_mark.index), *stop = r->text + r->length;
  const char *from = at;
  while (at < stop && (*at == ' ' || *at == '\t')) at++;
  if (at == from || at == stop || *at != '#') return NULL;
  const char *comment = at++;
  if (at == stop || strchr(" \t\r\n#!", *at)) return NULL;
  while (at < stop && *at != '\r' && *at != '\n') at++;
  return rf_pool_slice(&r->pool, comment, (size_t)(at - comment));
}

static bool comment_follows(struct reader *r) {
  const char *at = text_at(r, r->event.end_mark.index), *stop = r->text + r->length;
  while (at < stop && (*at == ' ' || *at == '\t')) at++;
  return at < stop && *at == '#';
}

static bool word(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_' || c == ':';
}

/* Opened less closed brackets of a kind. Angles count where they touch a name: <= and -> and `a < b` are no
 * brackets. */
static int balance(const char *text, char open, char close) {
  int sum = 0;
  for (size_t i = 0; text[i]; i++) {
    char before = i ? text[i - 1] : ' ';
    if (text[i] == open) sum += open != '<' || (word(before) && word(text[i + 1]));
    if (text[i] == close)
      sum -= close != '>' || (before != '-' && before != ' ' && before != '=' && before != '>');
  }
  return sum;
}

static const char brackets[] = "()<>[]{}";

/* Whether a comma of YAML's flow style has torn one text into these two. */
static bool torn(const char *left, const char *right) {
  for (size_t i = 0; brackets[i]; i += 2)
    if (balance(left, brackets[i], brackets[i + 1]) > 0 && balance(right, brackets[i], brackets[i + 1]) < 0)
      return true;
  return false;
}

/* Whether a regular expression or a bracket begins in text and doesn't end. */
static bool unfinished(const char *text) {
  const char *regex = *text == '/' ? text : strstr(text, "!/");
  if (!regex && (regex = strstr(text, "matches /"))) regex += 8;
  if (regex) {
    regex += *regex == '!' ? 2 : 1;
    while (*regex && *regex != '/') regex += regex[0] == '\\' && regex[1] ? 2 : 1;
    return !*regex;
  }
  for (size_t i = 0; brackets[i]; i += 2)
    if (balance(text, brackets[i], brackets[i + 1]) > 0) return true;
  return false;
}

static bool block_text(yaml_scalar_style_t style) {
  return style == YAML_LITERAL_SCALAR_STYLE || style == YAML_FOLDED_SCALAR_STYLE;
}

/* Tags, anchors and aliases of the current event, each reported. True when there were any. */
static bool takes_signs(struct reader *r, const char *key) {
  const yaml_event_t *e = &r->event;
  const unsigned char *anchor = NULL, *tag = NULL, *value = NULL;
  if (e->type == YAML_ALIAS_EVENT) {
    problem(r, event_line(r), key, "text that begins with '*' must be quoted: '*%.60s'",
            (const char *)e->data.alias.anchor);
    return true;
  }
  if (e->type == YAML_SCALAR_EVENT)
    anchor = e->data.scalar.anchor, tag = e->data.scalar.tag, value = e->data.scalar.value;
  if (e->type == YAML_SEQUENCE_START_EVENT)
    anchor = e->data.sequence_start.anchor, tag = e->data.sequence_start.tag;
  if (e->type == YAML_MAPPING_START_EVENT)
    anchor = e->data.mapping_start.anchor, tag = e->data.mapping_start.tag;
  if (!anchor && !tag) return false;
  const char *sign = tag ? "" : "&", *rest = value ? (const char *)value : "...";
  problem(r, event_line(r), key, "YAML takes '%s%.40s' for %s; quote the whole text: '%s%.40s %.40s'", sign,
          (const char *)(tag ? tag : anchor), tag ? "a tag" : "an anchor", sign,
          (const char *)(tag ? tag : anchor), rest);
  return true;
}

/* The current scalar as an item; false (reported) when it is not the text that its author saw. */
static bool take_scalar(struct reader *r, const char *key, struct rf_config_item *item) {
  if (takes_signs(r, key)) return false;
  yaml_scalar_style_t style = r->event.data.scalar.style;
  const char *text = (const char *)r->event.data.scalar.value;
  if (block_text(style)) {
    problem(r, event_line(r), key,
            "block text ('>' or '|') is not used here; a rule that begins with '>' must be quoted");
    return false;
  }
  if (strlen(text) != r->event.data.scalar.length) {
    problem(r, event_line(r), key, "there is a NUL character in the text");
    return false;
  }
  bool plain = style == YAML_PLAIN_SCALAR_STYLE;
  if (plain && unfinished(text) && comment_follows(r)) {
    problem(r, event_line(r), key,
            "'%.60s' goes on behind ' #', which begins a comment in YAML: quote the whole text", text);
    return false;
  }
  *item = (struct rf_config_item){rf_pool_text(&r->pool, text), event_line(r), plain ? text_behind(r) : NULL};
  return item->text != NULL;
}

static void emit(struct reader *r, size_t depth, const struct rf_config_value *value) {
  r->handler->value(r->handler->user, r->path, depth, value);
}

static void report_torn(struct reader *r, unsigned line, const char *key, const char *left,
                        const char *right) {
  problem(r, line, key,
          "a comma inside [...] or {...} ends a text: '%.60s' and '%.60s'; quote it if they are one", left,
          right);
}

/* Drops the elements that a comma has torn apart. */
static size_t without_torn(struct reader *r, const char *key, struct rf_config_item *items, size_t count) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    size_t right = i + 1, window = i + 8 < count ? i + 8 : count;
    while (right < window && !torn(items[i].text, items[right].text)) right++;
    if (right < window) {
      report_torn(r, items[i].line, key, items[i].text, items[right].text);
      i = right;
    } else
      items[kept++] = items[i];
  }
  return kept;
}

static void read_list(struct reader *r, size_t depth, unsigned line) {
  struct rf_config_item *items = NULL, item;
  size_t count = 0, capacity = 0;
  const char *key = dotted(r, depth);
  bool flow = r->event.data.sequence_start.style == YAML_FLOW_SEQUENCE_STYLE;
  while (next(r) && r->event.type != YAML_SEQUENCE_END_EVENT) {
    if (r->event.type == YAML_SCALAR_EVENT) {
      struct rf_config_item *grown = rf_pool_grow(&r->pool, items, count, &capacity, sizeof *items);
      if (grown) items = grown;
      if (grown && take_scalar(r, key, &item)) items[count++] = item;
    } else {
      if (!takes_signs(r, key))
        problem(r, event_line(r), key,
                "an element of the list must be plain text; quote it if it has ': ' in it");
      skip(r);
    }
  }
  if (flow) count = without_torn(r, key, items, count);
  emit(r, depth, &(struct rf_config_value){items, count, true, line});
}

static void read_map(struct reader *r, size_t depth);

/* The value that the current event begins, of the key path[depth - 1]. A scalar is left in *scalar (its text
 * NULL when there is none), everything else is handed on. */
static void read_value(struct reader *r, size_t depth, unsigned line, struct rf_config_item *scalar) {
  const char *key = dotted(r, depth);
  scalar->text = NULL;
  if (r->event.type == YAML_SCALAR_EVENT)
    take_scalar(r, key, scalar);
  else if (takes_signs(r, key))
    skip(r);
  else if (r->event.type == YAML_SEQUENCE_START_EVENT)
    read_list(r, depth, line);
  else if (depth < RF_CONFIG_DEPTH)
    read_map(r, depth);
  else {
    problem(r, event_line(r), key, "nested too deeply");
    skip(r);
  }
}

/* A scalar as value of the key path[depth - 1]; the empty plain one is no value. */
static void emit_scalar(struct reader *r, size_t depth, const struct rf_config_item *item) {
  if (!item->text) return;
  emit(r, depth, &(struct rf_config_value){item, *item->text != 0, false, item->line});
}

/* The current event as a key, copied; NULL (reported) when it is none. */
static const char *take_key(struct reader *r, size_t depth) {
  const char *parent = dotted(r, depth);
  struct rf_config_item item;
  if (takes_signs(r, parent)) return NULL;
  if (r->event.type != YAML_SCALAR_EVENT) {
    problem(r, event_line(r), parent, "a key must be plain text");
    return NULL;
  }
  if (!take_scalar(r, parent, &item)) return NULL;
  r->path[depth] = item.text;
  const char *path = dotted(r, depth + 1);
  unsigned before = seen_before(r, path, item.line);
  if (before) problem(r, item.line, path, "the key is there twice, first in line %u, which holds", before);
  return before ? NULL : item.text;
}

/* The map that the current event begins, below the key path[depth - 1]. In flow style a scalar is handed on
 * only when the next key shows that no comma has torn it. */
static void read_map(struct reader *r, size_t depth) {
  bool flow = r->event.data.mapping_start.style == YAML_FLOW_MAPPING_STYLE, empty = true;
  const char *pending_key = NULL, *key;
  struct rf_config_item pending = {0};
  unsigned line = event_line(r);
  for (; next(r) && r->event.type != YAML_MAPPING_END_EVENT; empty = false) {
    unsigned key_line = event_line(r);
    key = take_key(r, depth);
    if (!key) skip(r);
    if (key && pending.text && torn(pending.text, key)) {
      report_torn(r, key_line, dotted(r, depth), pending.text, key);
      pending.text = key = NULL;
    }
    r->path[depth] = pending_key;
    emit_scalar(r, depth + 1, &pending);
    pending.text = NULL;
    if (!next(r)) break;
    r->path[depth] = pending_key = key;
    if (!key)
      skip(r);
    else
      read_value(r, depth + 1, key_line, &pending);
    if (flow) continue;
    emit_scalar(r, depth + 1, &pending);
    pending.text = NULL;
  }
  r->path[depth] = pending_key;
  emit_scalar(r, depth + 1, &pending);
  if (empty && depth > 0) emit(r, depth, &(struct rf_config_value){NULL, 0, false, line});
}

static bool empty_scalar(const struct reader *r) {
  return r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0;
}

static void read_documents(struct reader *r) {
  bool first = true;
  while (next(r) && r->event.type != YAML_STREAM_END_EVENT) {
    if (r->event.type != YAML_DOCUMENT_START_EVENT) continue;
    if (!first) {
      problem(r, event_line(r), "", "a second document ('---') is not read");
      return;
    }
    first = false;
    if (!next(r) || empty_scalar(r)) continue;
    if (r->event.type == YAML_MAPPING_START_EVENT && !takes_signs(r, ""))
      read_map(r, 0);
    else {
      problem(r, event_line(r), "", "the file must consist of keys with values, such as 'preset: full'");
      skip(r);
    }
  }
}

static void read_all(struct reader *r) {
  r->length = rf_config_mend(r->text, r->length, r->handler);
  start(r);
  if (r->ended) return;
  read_documents(r);
  yaml_event_delete(&r->event);
  yaml_parser_delete(&r->parser);
}

/* Makes libyaml's lines those that editors count: breaks that aren't "\n" or "\r\n" become one, or blanks. */
static void normalise_breaks(char *text, size_t length) {
  for (size_t i = 0; i < length; i++) {
    if (text[i] == '\r' && (i + 1 == length || text[i + 1] != '\n')) text[i] = '\n';
    if (i + 1 < length && memcmp(text + i, "\xc2\x85", 2) == 0) memset(text + i, ' ', 2);
    if (i + 2 < length &&
        (memcmp(text + i, "\xe2\x80\xa8", 3) == 0 || memcmp(text + i, "\xe2\x80\xa9", 3) == 0))
      memset(text + i, ' ', 3);
  }
}

void rf_config_parse(const char *text, size_t length, const struct rf_config_handler *handler) {
  static const char mark[] = "\xef\xbb\xbf"; /* a byte order mark is no text */
  if (length >= 3 && memcmp(text, mark, 3) == 0) text += 3, length -= 3;
  struct reader *r = rf_calloc(1, sizeof *r);
  char *copy = r ? rf_malloc(length + 1) : NULL;
  struct rf_recovery recovery;
  if (copy) {
    memcpy(copy, text, length);
    normalise_breaks(copy, length);
    r->handler = handler;
    r->text = copy;
    r->length = length;
    if (rf_recover(&recovery) == 0) {
      read_all(r);
      rf_recovered(&recovery);
    } else
      problem(r, 0, "", "libyaml gave up on it");
    rf_pool_free(&r->pool);
  }
  rf_free(copy);
  rf_free(r);
}

/* Reads what is open at fd into *text. */
static int read_file(int fd, char **text, size_t *length) {
  struct stat file;
  long result = rf_syscall(SYS_fstat, fd, &file);
  if (result < 0) return (int)result;
  if (!S_ISREG(file.st_mode)) return S_ISDIR(file.st_mode) ? -EISDIR : -EINVAL;
  if (file.st_size > BYTES_MAX) return -EFBIG;
  size_t room = (size_t)file.st_size + 1; /* what grows meanwhile is cut */
  *length = 0;
  if (!(*text = rf_malloc(room))) return -ENOMEM;
  while (*length < room) {
    result = rf_syscall(SYS_read, fd, *text + *length, room - *length);
    if (result == -EINTR) continue;
    if (result <= 0) return (int)result;
    *length += (size_t)result;
  }
  return 0;
}

int rf_config_read(const char *path, const struct rf_config_handler *handler) {
  char *text = NULL;
  size_t length = 0;
  long fd = rf_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) return (int)fd;
  int result = read_file((int)fd, &text, &length);
  rf_syscall(SYS_close, fd);
  if (result == 0) rf_config_parse(text, length, handler);
  rf_free(text);
  return result;
}
