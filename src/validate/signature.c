/* C declarations into signatures: the subset in which functions are declared in headers. See type.h. */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "validate/type.h"

#define MOST_PARAMETERS 64
#define DEPTH 6

struct reader {
  const char *at;
  struct rf_pool *pool;
  char *error;
  size_t error_bytes;
  int depth;
};

struct word {
  const char *text;
  size_t length;
};

/* What the words before a declarator add up to. */
struct specifiers {
  int longs;
  bool is_unsigned, is_signed, is_short, is_char, is_int, is_float, is_double, is_bool, is_void, any;
  const struct rf_type *type;
};

static bool fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct reader *r, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (!r->error[0]) vsnprintf(r->error, r->error_bytes, format, arguments);
  va_end(arguments);
  return false;
}

static void skip_spaces(struct reader *r) {
  while (isspace((unsigned char)*r->at)) r->at++;
}

static bool take(struct reader *r, char c) {
  skip_spaces(r);
  if (*r->at != c) return false;
  r->at++;
  return true;
}

static bool word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The next word, with C++'s qualification and template arguments in it. */
static struct word peek(struct reader *r) {
  skip_spaces(r);
  const char *at = r->at;
  if (isdigit((unsigned char)*at)) return (struct word){at, 0};
  for (;;) {
    if (word_char(*at))
      at++;
    else if (at[0] == ':' && at[1] == ':')
      at += 2;
    else if (*at == '~' && at > r->at && at[-1] == ':')
      at++;
    else if (*at == '<' && at > r->at && word_char(at[-1])) {
      int depth = 0;
      do depth += *at == '<' ? 1 : *at == '>' ? -1 : 0;
      while (*at++ && depth);
      if (!at[-1]) at--;
    } else
      break;
  }
  return (struct word){r->at, (size_t)(at - r->at)};
}

static bool is(struct word w, const char *text) {
  return w.length == strlen(text) && !strncmp(w.text, text, w.length);
}

static bool is_any(struct word w, const char *const *texts) {
  for (; *texts; texts++)
    if (is(w, *texts)) return true;
  return false;
}

static const char *const idle_words[] = {
    "const",    "volatile",  "restrict", "__restrict", "__restrict__", "static",   "extern",   "inline",
    "register", "_Noreturn", "noexcept", "virtual",    "constexpr",    "typename", "explicit", NULL};

static struct rf_type *new_type(struct reader *r, enum rf_type_kind kind, uint32_t size,
                                const struct rf_type *target) {
  struct rf_type *type = rf_pool_take(r->pool, sizeof *type);
  if (type)
    *type = (struct rf_type){.kind = kind, .size = size, .align = size, .target = target, .name = ""};
  else
    fail(r, "no memory");
  return type;
}

static const struct rf_type *take_type(struct reader *r);
static const struct rf_type *take_declarator(struct reader *r, const struct rf_type *base, const char **name,
                                             bool decays);

/* ---- structs written out ---- */

static bool add_field(struct reader *r, struct rf_type *type, size_t *capacity, const char *name,
                      const struct rf_type *field, bool is_union) {
  if (!field->size || field->kind == RF_TYPE_OPAQUE)
    return fail(r, "the field '%s' has a type of unknown size", name);
  struct rf_field *grown = rf_pool_grow(r->pool, type->field, type->fields, capacity, sizeof *grown);
  if (!grown) return fail(r, "no memory");
  uint32_t offset = is_union ? 0 : (type->size + field->align - 1) & ~(field->align - 1);
  type->field = grown;
  grown[type->fields++] = (struct rf_field){.name = name, .type = field, .offset = offset};
  if (offset + field->size > type->size) type->size = offset + field->size;
  if (field->align > type->align) type->align = field->align;
  return true;
}

static bool take_members(struct reader *r, struct rf_type *type, bool is_union) {
  size_t capacity = 0;
  while (!take(r, '}')) {
    const struct rf_type *base = take_type(r);
    if (!base) return false;
    do {
      const char *name;
      const struct rf_type *field = take_declarator(r, base, &name, false);
      if (!field || !add_field(r, type, &capacity, name, field, is_union)) return false;
    } while (take(r, ','));
    skip_spaces(r);
    if (*r->at == ':')
      return fail(r, "bit fields can't be written here; the module's debug information gives them");
    if (!take(r, ';')) return fail(r, "';' is missing at '%.30s'", r->at);
  }
  if (type->align) type->size = (type->size + type->align - 1) & ~(type->align - 1);
  return true;
}

static const struct rf_type *take_struct(struct reader *r, bool is_union) {
  struct word name = peek(r);
  r->at += name.length;
  bool body = take(r, '{');
  struct rf_type *type = new_type(r, body ? RF_TYPE_STRUCT : RF_TYPE_OPAQUE, 0, NULL);
  if (!type) return NULL;
  type->name = rf_pool_slice(r->pool, name.text, name.length);
  if (!body) return type;
  if (++r->depth > DEPTH) return fail(r, "structs nest too deeply"), NULL;
  bool good = take_members(r, type, is_union);
  r->depth--;
  return good ? type : NULL;
}

/* ---- specifiers ---- */

static bool note_basic(struct specifiers *s, struct word w) {
  const struct {
    const char *name;
    bool *flag;
  } flags[] = {{"unsigned", &s->is_unsigned}, {"signed", &s->is_signed}, {"short", &s->is_short},
               {"char", &s->is_char},         {"int", &s->is_int},       {"float", &s->is_float},
               {"double", &s->is_double},     {"bool", &s->is_bool},     {"_Bool", &s->is_bool},
               {"void", &s->is_void}};
  if (is(w, "long")) {
    s->longs++;
    return s->any = true;
  }
  for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
    if (is(w, flags[i].name)) return *flags[i].flag = s->any = true;
  return false;
}

static const struct rf_type *basic_type(const struct specifiers *s) {
  if (s->is_void) return rf_type_named("void");
  if (s->is_bool) return rf_type_named("bool");
  if (s->is_float) return rf_type_named("float");
  if (s->is_double) return rf_type_named(s->longs ? "long double" : "double");
  if (s->is_char)
    return rf_type_named(s->is_unsigned ? "unsigned char" : s->is_signed ? "signed char" : "char");
  if (s->is_short) return rf_type_named(s->is_unsigned ? "unsigned short" : "short");
  if (s->longs) return rf_type_named(s->is_unsigned ? "unsigned long" : "long");
  return rf_type_named(s->is_unsigned ? "unsigned int" : "int");
}

static const struct rf_type *named_type(struct reader *r, struct word w) {
  char name[200];
  snprintf(name, sizeof name, "%.*s", (int)(w.length < 190 ? w.length : 190), w.text);
  const char *plain = strncmp(name, "std::", 5) ? name : name + 5;
  const struct rf_type *known = rf_type_named(plain);
  if (known) return known;
  struct rf_type *type = new_type(r, RF_TYPE_OPAQUE, 0, NULL);
  if (type) type->name = rf_pool_text(r->pool, name);
  return type;
}

static const struct rf_type *complex_of(struct reader *r, const struct rf_type *part) {
  struct rf_type *type = new_type(r, RF_TYPE_COMPLEX, 2 * part->size, part);
  if (type) type->align = part->align;
  return type;
}

static const struct rf_type *take_type(struct reader *r) {
  struct specifiers s = {0};
  bool complex = false;
  for (;;) {
    struct word w = peek(r);
    if (!w.length) break;
    if (is_any(w, idle_words) || note_basic(&s, w))
      r->at += w.length;
    else if (is(w, "_Complex") || is(w, "complex"))
      complex = true, r->at += w.length;
    else if (s.any || s.type)
      break; /* the declarator's name */
    else if (is(w, "struct") || is(w, "class") || is(w, "union")) {
      r->at += w.length;
      s.type = take_struct(r, is(w, "union"));
      if (!s.type) return NULL;
    } else if (is(w, "enum")) {
      r->at += w.length;
      r->at += peek(r).length;
      s.any = true;
    } else {
      s.type = named_type(r, w);
      r->at += w.length;
    }
  }
  if (!s.any && !s.type) return fail(r, "a type is expected at '%.30s'", r->at), NULL;
  const struct rf_type *type = s.type ? s.type : basic_type(&s);
  return complex ? complex_of(r, type) : type;
}

/* ---- declarators ---- */

static const struct rf_type *take_pointers(struct reader *r, const struct rf_type *type) {
  for (;;) {
    if (take(r, '*'))
      type = new_type(r, RF_TYPE_POINTER, 8, type);
    else if (take(r, '&')) {
      take(r, '&');
      type = new_type(r, RF_TYPE_REFERENCE, 8, type);
    } else if (is_any(peek(r), idle_words))
      r->at += peek(r).length;
    else
      return type;
    if (!type) return NULL;
  }
}

static bool skip_parentheses(struct reader *r) {
  int depth = 0;
  do depth += *r->at == '(' ? 1 : *r->at == ')' ? -1 : 0;
  while (*r->at && (r->at++, depth));
  return depth == 0 || fail(r, "')' is missing");
}

static const struct rf_type *take_arrays(struct reader *r, const struct rf_type *type, bool decays) {
  uint64_t count[4];
  int dimensions = 0;
  while (take(r, '[')) {
    while (is_any(peek(r), idle_words)) r->at += peek(r).length;
    skip_spaces(r);
    char *end;
    if (dimensions == 4) return fail(r, "an array of more than 4 dimensions"), NULL;
    count[dimensions++] = strtoull(r->at, &end, 0);
    r->at = end;
    if (*r->at != ']') r->at += strcspn(r->at, "]");
    if (!take(r, ']')) return fail(r, "']' is missing"), NULL;
  }
  for (int i = dimensions - 1; i >= 0; i--) {
    bool pointer = i == 0 && decays;
    uint64_t bytes = count[i] * type->size;
    if (bytes > UINT32_MAX) return fail(r, "an array that large"), NULL;
    struct rf_type *array =
        new_type(r, pointer ? RF_TYPE_POINTER : RF_TYPE_ARRAY, pointer ? 8 : (uint32_t)bytes, type);
    if (!array) return NULL;
    if (!pointer) array->align = type->align, array->count = count[i];
    type = array;
  }
  return type;
}

/* int (*f)(void): a pointer to something that is not looked into. */
static const struct rf_type *take_function_pointer(struct reader *r, const char **name) {
  struct rf_type *function = new_type(r, RF_TYPE_OPAQUE, 0, NULL);
  const struct rf_type *type = take_pointers(r, function);
  struct word w = peek(r);
  *name = rf_pool_slice(r->pool, w.text, w.length);
  r->at += w.length;
  if (!type || !take(r, ')')) return fail(r, "')' is missing at '%.30s'", r->at), NULL;
  skip_spaces(r);
  return *r->at == '(' && !skip_parentheses(r) ? NULL : type;
}

static const struct rf_type *take_declarator(struct reader *r, const struct rf_type *base, const char **name,
                                             bool decays) {
  const struct rf_type *type = take_pointers(r, base);
  if (!type) return NULL;
  if (take(r, '(')) return take_function_pointer(r, name);
  struct word w = peek(r);
  *name = rf_pool_slice(r->pool, w.text, w.length);
  r->at += w.length;
  return *name ? take_arrays(r, type, decays) : (fail(r, "no memory"), NULL);
}

static bool usable(struct reader *r, const struct rf_type *type, const char *what) {
  if (type->kind != RF_TYPE_OPAQUE) return true;
  return fail(
      r, "%s: the size of '%s' is not known: write a basic type, a pointer, or the struct with its fields",
      what, type->name);
}

static bool take_parameter(struct reader *r, struct rf_signature *signature, size_t *capacity) {
  struct rf_parameter parameter = {.name = ""};
  const struct rf_type *base = take_type(r);
  if (!base || !(parameter.type = take_declarator(r, base, &parameter.name, true))) return false;
  if (parameter.type->kind == RF_TYPE_VOID)
    return (signature->parameters == 0 && !parameter.name[0]) || fail(r, "a parameter of type void");
  if (!usable(r, parameter.type, parameter.name)) return false;
  if (signature->parameters == MOST_PARAMETERS) return fail(r, "more than %d parameters", MOST_PARAMETERS);
  signature->parameter =
      rf_pool_grow(r->pool, signature->parameter, signature->parameters, capacity, sizeof parameter);
  if (!signature->parameter) return fail(r, "no memory");
  signature->parameter[signature->parameters++] = parameter;
  return true;
}

static bool take_signature(struct reader *r, struct rf_signature *signature) {
  size_t capacity = 0;
  const struct rf_type *base = take_type(r);
  signature->result = base ? take_pointers(r, base) : NULL;
  if (!signature->result || !usable(r, signature->result, "the result")) return false;
  r->at += strcspn(r->at, "("); /* the function's name; operator() is not called by it */
  if (!strncmp(r->at, "()", 2) && strchr(r->at + 2, '(')) r->at += 2;
  if (!take(r, '(')) return fail(r, "a declaration such as 'int f(const double *x, size_t n)' is expected");
  if (take(r, ')')) return true;
  do {
    skip_spaces(r);
    if (!strncmp(r->at, "...", 3))
      r->at += 3;
    else if (!take_parameter(r, signature, &capacity))
      return false;
  } while (take(r, ','));
  return take(r, ')') || fail(r, "',' or ')' is missing at '%.30s'", r->at);
}

bool rf_signature_parse(const char *text, struct rf_pool *pool, struct rf_signature *signature, char *error,
                        size_t error_bytes) {
  struct reader r = {text, pool, error, error_bytes, 0};
  error[0] = '\0';
  *signature = (struct rf_signature){0};
  return take_signature(&r, signature) &&
         (rf_signature_place(signature, pool) || fail(&r, "a parameter's or the result's size is not known"));
}
