/*
 * See automaton.h. Expression ─▶ nodes (Thompson's construction; a{2,5} reads a again and again) ─▶ sets of
 * nodes ─▶ states.
 */
#include "validate/automaton.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define MOST_NODES 1024u
#define MOST_STATES 1500u
#define MOST_REPEATS 255
#define MOST_GROUPS 50

enum node_kind { NODE_BYTES, NODE_SPLIT, NODE_BEGIN, NODE_END, NODE_MATCH };

struct node {
  enum node_kind kind;
  uint16_t next, other;
  uint64_t bytes[4];
};

typedef struct {
  uint64_t bit[MOST_NODES / 64];
} node_set;

struct state {
  uint16_t next[256];
  bool at_end; /* matches if the text ends here */
};

struct rf_automaton {
  struct state *state;
  uint32_t states;
  uint32_t start;
};

struct builder {
  const char *at;
  struct node *node;
  uint32_t nodes;
  node_set *set; /* by state */
  struct rf_automaton *automaton;
  int groups;
  char *error;
  size_t error_bytes;
};

/* A part under construction: where it begins, and the open node at its end, whose next is to be set. */
struct part {
  uint16_t first, last;
};

static bool fail(struct builder *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct builder *b, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (!b->error[0]) vsnprintf(b->error, b->error_bytes, format, arguments);
  va_end(arguments);
  return false;
}

/* ---- nodes ---- */

static uint16_t add_node(struct builder *b, enum node_kind kind) {
  if (b->nodes == MOST_NODES) {
    fail(b, "the expression is too long, or repeats too much");
    return 0;
  }
  b->node[b->nodes] = (struct node){.kind = kind};
  return (uint16_t)b->nodes++;
}

static struct part single(struct builder *b, enum node_kind kind) {
  uint16_t n = add_node(b, kind);
  return (struct part){n, n};
}

/* An empty part: a split whose two ways are one. */
static struct part nothing(struct builder *b) { return single(b, NODE_SPLIT); }

static void open_end(struct builder *b, struct part part, uint16_t to) {
  struct node *last = &b->node[part.last];
  last->next = to;
  if (last->kind == NODE_SPLIT && !last->other) last->other = to;
}

static struct part joined(struct builder *b, struct part a, struct part c) {
  open_end(b, a, c.first);
  return (struct part){a.first, c.last};
}

static void put_byte(struct node *node, unsigned byte) { node->bytes[byte / 64] |= 1ull << byte % 64; }

static struct part literal(struct builder *b, unsigned char byte) {
  struct part part = single(b, NODE_BYTES);
  put_byte(&b->node[part.first], byte);
  return part;
}

/* ---- brackets ---- */

static bool put_class(struct builder *b, struct node *node, const char *name, size_t length) {
  static const struct {
    const char *name;
    int (*is)(int);
  } classes[] = {{"alpha", isalpha}, {"digit", isdigit}, {"alnum", isalnum}, {"upper", isupper},
                 {"lower", islower}, {"space", isspace}, {"blank", isblank}, {"punct", ispunct},
                 {"print", isprint}, {"graph", isgraph}, {"cntrl", iscntrl}, {"xdigit", isxdigit}};
  for (size_t i = 0; i < sizeof classes / sizeof *classes; i++) {
    if (strlen(classes[i].name) != length || strncmp(classes[i].name, name, length) != 0) continue;
    for (unsigned c = 0; c < 128; c++)
      if (classes[i].is((int)c)) put_byte(node, c);
    return true;
  }
  return fail(b, "[:%.*s:] is no class of characters", (int)length, name);
}

/* [a-z[:digit:]_] behind its '['. */
static struct part bracket(struct builder *b) {
  struct part part = single(b, NODE_BYTES);
  struct node *node = &b->node[part.first];
  bool inverted = *b->at == '^', first = true;
  b->at += inverted;
  for (; *b->at && (*b->at != ']' || first); first = false) {
    const char *end = !strncmp(b->at, "[:", 2) ? strstr(b->at, ":]") : NULL;
    if (end) {
      if (!put_class(b, node, b->at + 2, (size_t)(end - b->at) - 2)) return part;
      b->at = end + 2;
      continue;
    }
    unsigned char low = (unsigned char)*b->at++, high = low;
    if (b->at[0] == '-' && b->at[1] && b->at[1] != ']') high = (unsigned char)b->at[1], b->at += 2;
    if (low > high) fail(b, "the range %c-%c is empty", low, high);
    for (unsigned c = low; c <= high; c++) put_byte(node, c);
  }
  if (!*b->at)
    fail(b, "']' is missing");
  else
    b->at++;
  for (int i = 0; inverted && i < 4; i++) node->bytes[i] = ~node->bytes[i];
  return part;
}

/* ---- expressions ---- */

static struct part alternatives(struct builder *b);

static struct part group(struct builder *b) {
  if (++b->groups > MOST_GROUPS) fail(b, "groups nest too deeply");
  struct part part = b->error[0] ? nothing(b) : alternatives(b);
  b->groups--;
  if (*b->at == ')')
    b->at++;
  else
    fail(b, "')' is missing");
  return part;
}

static struct part escaped(struct builder *b) {
  char c = *b->at;
  if (!c)
    fail(b, "nothing follows the last backslash");
  else
    b->at++;
  if (isalnum((unsigned char)c))
    fail(b, "\\%c means nothing here: POSIX has classes such as [[:digit:]], and no back references", c);
  return literal(b, (unsigned char)c);
}

static struct part atom(struct builder *b) {
  char c = *b->at++;
  switch (c) {
  case '(': return group(b);
  case '[': return bracket(b);
  case '^': return single(b, NODE_BEGIN);
  case '$': return single(b, NODE_END);
  case '\\': return escaped(b);
  case '.': {
    struct part any = single(b, NODE_BYTES);
    memset(b->node[any.first].bytes, 0xff, sizeof b->node[any.first].bytes);
    return any;
  }
  case '*':
  case '+':
  case '?':
  case '{': fail(b, "there is nothing before '%c' that it could repeat", c); return nothing(b);
  default: return literal(b, (unsigned char)c);
  }
}

static struct part optional(struct builder *b, struct part part) {
  uint16_t split = add_node(b, NODE_SPLIT), end = add_node(b, NODE_SPLIT);
  b->node[split].next = part.first;
  b->node[split].other = end;
  open_end(b, part, end);
  return (struct part){split, end};
}

static struct part star(struct builder *b, struct part part) {
  uint16_t split = add_node(b, NODE_SPLIT), end = add_node(b, NODE_SPLIT);
  b->node[split].next = part.first;
  b->node[split].other = end;
  open_end(b, part, split);
  return (struct part){split, end};
}

static int repeat_number(struct builder *b) {
  int value = 0;
  if (!isdigit((unsigned char)*b->at)) return -1;
  while (isdigit((unsigned char)*b->at)) {
    value = value * 10 + (*b->at++ - '0');
    if (value > MOST_REPEATS) {
      fail(b, "more than %d repetitions", MOST_REPEATS);
      value = 0;
    }
  }
  return value;
}

/* The bounds behind '{', b->at behind '}' afterwards. most -1: none. */
static void bounds(struct builder *b, int *least, int *most) {
  *least = repeat_number(b);
  *most = *least;
  if (*b->at == ',') {
    b->at++;
    *most = repeat_number(b);
  }
  if (*b->at == '}')
    b->at++;
  else
    fail(b, "'}' is missing");
  if (*least < 0 || (*most >= 0 && *most < *least)) fail(b, "a repetition is {n}, {n,} or {n,m} with n <= m");
}

/* atom{least,most}: the atom's text is read again for every copy. */
static struct part repeated(struct builder *b, const char *text) {
  int least = 0, most = 0;
  bounds(b, &least, &most);
  const char *behind = b->at;
  struct part all = nothing(b);
  int copies = most < 0 ? least + 1 : most;
  for (int i = 0; i < copies && !b->error[0]; i++) {
    b->at = text;
    struct part copy = atom(b);
    if (i >= least) copy = most < 0 ? star(b, copy) : optional(b, copy);
    all = joined(b, all, copy);
  }
  b->at = behind;
  return all;
}

static bool repeats(char c) { return c == '*' || c == '+' || c == '?' || c == '{'; }

static struct part piece(struct builder *b) {
  const char *text = b->at;
  struct part part = atom(b);
  bool counted = false, any = false;
  for (; !b->error[0]; b->at++, any = true) {
    if (repeats(*b->at) && (counted || (any && *b->at == '{')))
      fail(b, "a repetition of a repetition: put the inner one in parentheses");
    counted = *b->at == '{';
    if (*b->at == '*')
      part = star(b, part);
    else if (*b->at == '?')
      part = optional(b, part);
    else if (*b->at == '+') {
      const char *behind = b->at;
      b->at = text;
      part = joined(b, part, star(b, atom(b)));
      b->at = behind;
    } else if (*b->at == '{') {
      b->at++;
      part = repeated(b, text);
      b->at--;
    } else
      break;
  }
  return part;
}

static struct part sequence(struct builder *b) {
  struct part all = nothing(b);
  while (*b->at && *b->at != '|' && *b->at != ')' && !b->error[0]) all = joined(b, all, piece(b));
  return all;
}

static struct part alternatives(struct builder *b) {
  struct part part = sequence(b);
  while (*b->at == '|' && !b->error[0]) {
    b->at++;
    uint16_t split = add_node(b, NODE_SPLIT), end = add_node(b, NODE_SPLIT);
    struct part other = sequence(b);
    b->node[split].next = part.first;
    b->node[split].other = other.first;
    open_end(b, part, end);
    open_end(b, other, end);
    part = (struct part){split, end};
  }
  return part;
}

/* ---- states ---- */

/* Adds node and what is reached from it without a byte. */
static void reach(const struct builder *b, node_set *set, uint16_t from, bool begins, bool ends) {
  uint16_t stack[2 * MOST_NODES];
  size_t depth = 0;
  stack[depth++] = from;
  while (depth) {
    uint16_t n = stack[--depth];
    const struct node *node = &b->node[n];
    if (set->bit[n / 64] >> n % 64 & 1) continue;
    set->bit[n / 64] |= 1ull << n % 64;
    bool passes =
        node->kind == NODE_SPLIT || (node->kind == NODE_BEGIN && begins) || (node->kind == NODE_END && ends);
    if (!passes || depth + 2 > sizeof stack / sizeof *stack) continue;
    stack[depth++] = node->next;
    if (node->kind == NODE_SPLIT && node->other != node->next) stack[depth++] = node->other;
  }
}

static bool has_match(const struct builder *b, const node_set *set) {
  for (uint32_t n = 0; n < b->nodes; n++)
    if (b->node[n].kind == NODE_MATCH && set->bit[n / 64] >> n % 64 & 1) return true;
  return false;
}

static bool matches_at_end(const struct builder *b, const node_set *set) {
  node_set ended = {0};
  for (uint32_t n = 0; n < b->nodes; n++)
    if (set->bit[n / 64] >> n % 64 & 1) reach(b, &ended, (uint16_t)n, false, true);
  return has_match(b, &ended);
}

static uint32_t state_of(struct builder *b, const node_set *set) {
  struct rf_automaton *a = b->automaton;
  if (has_match(b, set)) return RF_AUTOMATON_MATCHED;
  for (uint32_t i = 2; i < a->states; i++)
    if (!memcmp(&b->set[i], set, sizeof *set)) return i;
  if (a->states == MOST_STATES) {
    fail(b, "the expression needs too many states");
    return RF_AUTOMATON_DEAD;
  }
  b->set[a->states] = *set;
  a->state[a->states].at_end = matches_at_end(b, set);
  return a->states++;
}

static uint32_t step(struct builder *b, uint32_t from, unsigned byte, uint16_t first) {
  node_set set = {0};
  const node_set *before = &b->set[from];
  for (uint32_t n = 0; n < b->nodes; n++)
    if (before->bit[n / 64] >> n % 64 & 1 && b->node[n].kind == NODE_BYTES &&
        b->node[n].bytes[byte / 64] >> byte % 64 & 1)
      reach(b, &set, b->node[n].next, false, false);
  reach(b, &set, first, false, false); /* a match may begin at any byte */
  return state_of(b, &set);
}

static void make_states(struct builder *b, uint16_t first) {
  struct rf_automaton *a = b->automaton;
  node_set begin = {0};
  a->states = 2;
  for (unsigned c = 0; c < 256; c++) a->state[RF_AUTOMATON_MATCHED].next[c] = RF_AUTOMATON_MATCHED;
  a->state[RF_AUTOMATON_MATCHED].at_end = true;
  reach(b, &begin, first, true, false);
  a->start = state_of(b, &begin);
  for (uint32_t i = 2; i < a->states && !b->error[0]; i++)
    for (unsigned c = 0; c < 256 && !b->error[0]; c++) a->state[i].next[c] = (uint16_t)step(b, i, c, first);
}

static void build(struct builder *b) {
  struct part whole = alternatives(b);
  if (*b->at) fail(b, "')' has no '('");
  uint16_t match = add_node(b, NODE_MATCH);
  if (b->error[0]) return;
  open_end(b, whole, match);
  make_states(b, whole.first);
}

struct rf_automaton *rf_automaton_new(const char *expression, char *error, size_t error_bytes) {
  error[0] = '\0';
  struct rf_automaton *automaton = rf_calloc(1, sizeof *automaton);
  struct builder b = {.at = expression, .automaton = automaton, .error = error, .error_bytes = error_bytes};
  b.node = rf_pages(MOST_NODES * sizeof *b.node);
  b.set = rf_pages(MOST_STATES * sizeof *b.set);
  if (automaton) automaton->state = rf_pages(MOST_STATES * sizeof *automaton->state);
  b.nodes = 1; /* node 0 is none */
  if (!automaton || !b.node || !b.set || !automaton->state)
    fail(&b, "no memory");
  else
    build(&b);
  if (b.node) rf_pages_free(b.node, MOST_NODES * sizeof *b.node);
  if (b.set) rf_pages_free(b.set, MOST_STATES * sizeof *b.set);
  if (!error[0]) return automaton;
  rf_automaton_free(automaton);
  return NULL;
}

void rf_automaton_free(struct rf_automaton *automaton) {
  if (automaton && automaton->state) rf_pages_free(automaton->state, MOST_STATES * sizeof *automaton->state);
  rf_free(automaton);
}

uint32_t rf_automaton_start(const struct rf_automaton *automaton) { return automaton->start; }

uint32_t rf_automaton_feed(const struct rf_automaton *automaton, uint32_t state, const void *bytes,
                           size_t count) {
  const unsigned char *at = bytes, *end = at + count;
  while (at < end && state > RF_AUTOMATON_MATCHED) state = automaton->state[state].next[*at++];
  return state;
}

bool rf_automaton_matches_here(const struct rf_automaton *automaton, uint32_t state) {
  return automaton->state[state].at_end;
}
