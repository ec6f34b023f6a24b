/* See plan.h. Runs at start, when vector registers are nobody's; arithmetic on doubles is free here. */
#include <float.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/options.h"
#include "validate/plan.h"
#include "validate/validators.h"

static bool fail(struct rf_compiler *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(struct rf_compiler *c, const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  if (!c->error[0]) vsnprintf(c->error, c->error_bytes, format, arguments);
  va_end(arguments);
  return false;
}

/* ---- places ---- */

/* A typed place: the locator leads to where the value lies; part: it may be split over two registers. */
struct spot {
  const struct rf_type *type;
  struct rf_locator at;
  struct rf_place place; /* while it still lies there */
  bool placed;
  uint32_t offset; /* into the placed value */
  uint8_t bits, first_bit;
};

static bool hop(struct rf_compiler *c, struct spot *spot, int32_t add) {
  if (spot->at.hops == RF_HOPS) return fail(c, "too many pointers to follow");
  spot->at.hop[spot->at.hops++] = add;
  return true;
}

/* From a value in registers to an address: which half it lies in is known once its offset is. */
static void settle(struct spot *spot) {
  if (!spot->placed) return;
  bool registers = spot->place.kind == RF_PLACE_SAVED;
  spot->at.base = (uint8_t)spot->place.kind;
  spot->at.start = registers ? spot->place.part[spot->offset >= 8] + (int32_t)(spot->offset % 8)
                             : spot->place.part[0] + (int32_t)spot->offset;
  spot->placed = false;
}

static void advance(struct spot *spot, uint32_t offset) {
  if (spot->placed)
    spot->offset += offset;
  else if (spot->at.hops)
    spot->at.hop[spot->at.hops - 1] += (int32_t)offset;
  else
    spot->at.start += (int32_t)offset;
}

static bool begin_at(struct rf_compiler *c, struct spot *spot, const struct rf_type *type,
                     struct rf_place place, const char *name) {
  if (place.kind == RF_PLACE_UNKNOWN)
    return fail(c, "where '%s' lies when the function begins is not known", name);
  *spot = (struct spot){.type = type, .place = place, .placed = true};
  if (!place.by_address) return true;
  settle(spot);
  return hop(c, spot, 0);
}

/* Follows pointer or reference. */
static bool follow(struct rf_compiler *c, struct spot *spot) {
  settle(spot);
  spot->type = spot->type->target;
  return hop(c, spot, 0);
}

static void no_parameter(struct rf_compiler *c, const char *name) {
  const char *names[66] = {0};
  size_t count = 0;
  char known[256] = "";
  for (size_t i = 0; i < c->signature->parameters && count < 64; i++)
    if (c->signature->parameter[i].name[0]) names[count++] = c->signature->parameter[i].name;
  const char *nearest = rf_nearest(name, names, count);
  for (size_t i = 0; i < count && strlen(known) < 200; i++)
    snprintf(known + strlen(known), sizeof known - strlen(known), "%s%.40s", i ? ", " : "", names[i]);
  if (nearest)
    fail(c, "there is no parameter '%s'; did you mean '%s'?", name, nearest);
  else if (count)
    fail(c, "there is no parameter '%s'; the function has %s", name, known);
  else
    fail(c, "there is no parameter '%s'; the function has %zu, written arg1, arg2, ...", name,
         c->signature->parameters);
}

/* arg1 from 1 on, else 0. */
static unsigned long ordinal(const char *name) {
  char *end;
  if (strncmp(name, "arg", 3) != 0 || name[3] < '1' || name[3] > '9') return 0;
  unsigned long n = strtoul(name + 3, &end, 10);
  return *end ? 0 : n;
}

static bool root_untyped(struct rf_compiler *c, const char *name, struct spot *spot) {
  unsigned long n = ordinal(name);
  const struct rf_type *word = rf_type_named("uintptr_t");
  struct rf_placer placer = {0};
  struct rf_leaf leaf = {0, 8, RF_LEAF_INTEGER};
  struct rf_shape shape = {8, 8, &leaf, 1, false};
  bool hidden;
  if (!strcmp(name, "return") || !strcmp(name, "result"))
    return begin_at(c, spot, word, rf_place_result(&shape, &hidden), name);
  if (n < 1 || n > 6)
    return fail(c, "the types of its parameters are not known: write its signature, such as "
                   "'signature: int f(const double *x, size_t n)'");
  struct rf_place place = {0};
  for (unsigned long i = 0; i < n; i++) place = rf_place_argument(&placer, &shape);
  return begin_at(c, spot, word, place, name);
}

static bool root(struct rf_compiler *c, const char *name, struct spot *spot) {
  const struct rf_signature *s = c->signature;
  if (!s) return root_untyped(c, name, spot);
  for (size_t i = 0; i < s->parameters; i++)
    if (!strcmp(s->parameter[i].name, name))
      return begin_at(c, spot, s->parameter[i].type, s->parameter[i].place, name);
  unsigned long n = ordinal(name);
  if (n && n <= s->parameters)
    return begin_at(c, spot, s->parameter[n - 1].type, s->parameter[n - 1].place, name);
  if (strcmp(name, "return") && strcmp(name, "result")) return no_parameter(c, name), false;
  if (s->result->kind == RF_TYPE_VOID) return fail(c, "the function returns nothing");
  return begin_at(c, spot, s->result, s->result_place, name);
}

static bool is_pointer(const struct rf_type *type) {
  return type->kind == RF_TYPE_POINTER || type->kind == RF_TYPE_REFERENCE;
}

static void no_field(struct rf_compiler *c, const struct rf_type *type, const char *name) {
  const char *names[64] = {0};
  size_t count = 0;
  for (size_t i = 0; i < type->fields && count < 64; i++) names[count++] = type->field[i].name;
  const char *nearest = rf_nearest(name, names, count);
  if (nearest)
    fail(c, "%s has no field '%s'; did you mean '%s'?",
         type->name && type->name[0] ? type->name : "the struct", name, nearest);
  else
    fail(c, "%s has no field '%s'", type->name && type->name[0] ? type->name : "the struct", name);
}

static bool take_field(struct rf_compiler *c, const struct rf_path_step *step, struct spot *spot) {
  if (spot->type->kind == RF_TYPE_REFERENCE && !follow(c, spot)) return false;
  bool pointer = spot->type->kind == RF_TYPE_POINTER;
  if (step->kind == RF_STEP_ARROW && !pointer)
    return fail(c, "'->%s' needs a pointer; is it '.%s'?", step->name, step->name);
  if (step->kind == RF_STEP_FIELD && pointer)
    return fail(c, "'.%s' on a pointer; is it '->%s'?", step->name, step->name);
  if (pointer && !follow(c, spot)) return false;
  if (spot->type->kind != RF_TYPE_STRUCT)
    return fail(c, "'%s' is looked for in something whose fields are not known", step->name);
  uint32_t offset = 0;
  const struct rf_field *field = rf_type_field(spot->type, step->name, &offset);
  if (!field) return no_field(c, spot->type, step->name), false;
  advance(spot, offset);
  spot->type = field->type;
  spot->bits = field->bits;
  spot->first_bit = field->first_bit;
  return true;
}

static bool take_index(struct rf_compiler *c, uint64_t index, struct spot *spot) {
  if (spot->type->kind == RF_TYPE_REFERENCE && !follow(c, spot)) return false;
  if (spot->type->kind == RF_TYPE_ARRAY) {
    if (spot->type->count && index >= spot->type->count)
      return fail(c, "[%llu] is behind the array's last element", (unsigned long long)index);
    spot->type = spot->type->target;
  } else if (spot->type->kind != RF_TYPE_POINTER)
    return fail(c, "[%llu] needs a pointer or an array", (unsigned long long)index);
  else if (!follow(c, spot))
    return false;
  uint64_t offset = index * spot->type->size;
  if (!spot->type->size || offset > INT32_MAX)
    return fail(c, "the element's place is not known, or too far away");
  advance(spot, (uint32_t)offset);
  return true;
}

static bool find_spot(struct rf_compiler *c, const struct rf_path *path, struct spot *spot) {
  if (!root(c, path->root, spot)) return false;
  for (size_t i = 0; i < path->steps; i++) {
    const struct rf_path_step *step = &path->step[i];
    if (step->kind == RF_STEP_INDEX ? !take_index(c, step->index, spot) : !take_field(c, step, spot))
      return false;
  }
  return true;
}

static bool number_kind(const struct rf_type *type, struct rf_scalar *scalar) {
  scalar->size = (uint8_t)type->size;
  switch (type->kind) {
  case RF_TYPE_SIGNED: scalar->kind = RF_NUMBER_SIGNED; return true;
  case RF_TYPE_UNSIGNED:
  case RF_TYPE_POINTER:
  case RF_TYPE_REFERENCE: scalar->kind = RF_NUMBER_UNSIGNED; return true;
  case RF_TYPE_FLOAT: scalar->kind = type->size > 8 ? RF_NUMBER_EXTENDED : RF_NUMBER_DOUBLE; return true;
  default: return false;
  }
}

static bool scalar_of(struct rf_compiler *c, struct spot *spot, struct rf_scalar *scalar) {
  if (spot->type->kind == RF_TYPE_REFERENCE && !follow(c, spot)) return false;
  settle(spot);
  *scalar = (struct rf_scalar){.at = spot->at, .bits = spot->bits, .first_bit = spot->first_bit};
  return number_kind(spot->type, scalar) || fail(c, "it is no number and no pointer");
}

bool rf_compile_scalar(struct rf_compiler *c, const struct rf_path *path, struct rf_scalar *scalar) {
  struct spot spot;
  return find_spot(c, path, &spot) && scalar_of(c, &spot, scalar);
}

static bool refers_to_result(const struct rf_product *product) {
  for (int i = 0; i < product->factors; i++)
    if (!product->constant[i] && product->scalar[i].at.base == RF_PLACE_SAVED &&
        product->scalar[i].at.start >= RF_SAVED_RAX)
      return true;
  return false;
}

static bool compile_product(struct rf_compiler *c, const struct rf_rule *rule, struct rf_product *product) {
  product->factors = (uint8_t)rule->terms;
  for (size_t i = 0; i < rule->terms; i++) {
    product->constant[i] = !rule->term[i].path.root;
    product->number[i] = rule->term[i].number;
    if (product->constant[i] ? false : !rf_compile_scalar(c, &rule->term[i].path, &product->scalar[i]))
      return false;
    uint8_t kind = product->constant[i] ? product->number[i].kind : product->scalar[i].kind;
    if (rule->terms > 1 && kind > RF_NUMBER_UNSIGNED) return fail(c, "only whole numbers can be multiplied");
  }
  return true;
}

/* ---- keys of constants ---- */

#define UNSIGNED_BIAS (1ull << 63)

static double double_of(const struct rf_number *n) {
  double value;
  if (n->kind == RF_NUMBER_SIGNED) return (double)(int64_t)n->bits;
  if (n->kind == RF_NUMBER_UNSIGNED) return (double)n->bits;
  memcpy(&value, &n->bits, sizeof value);
  return value;
}

static uint64_t bits_of(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}

static struct rf_number number_of_double(double value) {
  return (struct rf_number){.kind = RF_NUMBER_DOUBLE, .bits = bits_of(value)};
}

/* The number as __int128, rounded up or down; beyond 64 bits cut to something beyond 64 bits. */
static __int128 integer_of(const struct rf_number *n, bool up) {
  if (rf_number_is_integer(n)) return rf_number_integer(n);
  double value = double_of(n), rounded = up ? ceil(value) : floor(value);
  if (rounded > 1e30) rounded = 1e30;
  if (rounded < -1e30) rounded = -1e30;
  return (__int128)rounded;
}

/* Key of the least value of a kind that is not below n (up), or the greatest that is not above it. *beyond:
 * there is none. */
static int64_t key_of(const struct rf_number *n, uint8_t kind, bool up, bool *beyond) {
  if (kind >= RF_NUMBER_DOUBLE) {
    double value = double_of(n);
    struct rf_number rounded = number_of_double(value);
    int order = rf_number_compare(&rounded, n);
    if (up && order < 0) value = nextafter(value, INFINITY);
    if (!up && order > 0) value = nextafter(value, -INFINITY);
    return rf_double_key(bits_of(value));
  }
  __int128 value = integer_of(n, up), least = kind == RF_NUMBER_SIGNED ? INT64_MIN : 0,
           most = kind == RF_NUMBER_SIGNED ? INT64_MAX : (__int128)UINT64_MAX;
  if (up ? value > most : value < least) *beyond = true;
  if (value < least) value = least;
  if (value > most) value = most;
  return kind == RF_NUMBER_SIGNED ? (int64_t)value : (int64_t)((uint64_t)value ^ UNSIGNED_BIAS);
}

static int64_t least_key(uint8_t kind) {
  return kind >= RF_NUMBER_DOUBLE ? rf_double_key(bits_of(-INFINITY)) : INT64_MIN;
}
static int64_t greatest_key(uint8_t kind) {
  return kind >= RF_NUMBER_DOUBLE ? rf_double_key(bits_of(INFINITY)) : INT64_MAX;
}

static void nothing_fits(struct rf_check *check) {
  check->low = 1;
  check->high = 0;
}

static void set_interval(struct rf_check *check, const struct rf_number *low, const struct rf_number *high) {
  uint8_t kind = check->subject.kind;
  bool beyond = false;
  check->kind = RF_CHECK_INTERVAL;
  check->low = low ? key_of(low, kind, true, &beyond) : least_key(kind);
  check->high = high ? key_of(high, kind, false, &beyond) : greatest_key(kind);
  if (beyond) nothing_fits(check);
}

/* Against a constant every relation is an interval. */
static void set_relation(struct rf_check *check, enum rf_relation relation, const struct rf_number *n) {
  bool exact = false, beyond = false;
  uint8_t kind = check->subject.kind;
  switch (relation) {
  case RF_EQUAL: set_interval(check, n, n); break;
  case RF_NOT_EQUAL:
    set_interval(check, n, n);
    check->outside = true;
    break;
  case RF_AT_MOST: set_interval(check, NULL, n); break;
  case RF_AT_LEAST: set_interval(check, n, NULL); break;
  case RF_LESS:
    set_interval(check, NULL, n);
    exact = key_of(n, kind, true, &beyond) == check->high && !beyond;
    if (exact && check->high == INT64_MIN)
      nothing_fits(check);
    else if (exact)
      check->high--;
    break;
  case RF_MORE:
    set_interval(check, n, NULL);
    exact = key_of(n, kind, false, &beyond) == check->low && !beyond;
    if (exact && check->low == INT64_MAX)
      nothing_fits(check);
    else if (exact)
      check->low++;
    break;
  }
}

static bool set_set(struct rf_compiler *c, struct rf_check *check, const struct rf_rule *rule) {
  int64_t *keys = rf_pool_take(c->pool, rule->set_count * sizeof *keys);
  if (!keys) return fail(c, "no memory");
  check->kind = RF_CHECK_SET;
  check->set = keys;
  for (size_t i = 0; i < rule->set_count; i++) {
    bool beyond = false;
    int64_t up = key_of(&rule->set[i], check->subject.kind, true, &beyond),
            down = key_of(&rule->set[i], check->subject.kind, false, &beyond);
    if (up == down && !beyond) keys[check->set_count++] = up;
  }
  return true;
}

/* ---- one rule ---- */

/* What the rules of one key have in common. */
struct key {
  struct spot spot;
  const char *name;
  const struct rf_rule *length; /* NULL: none */
  uint8_t group;
  bool at_return; /* the key is the result: looked at on return, whatever is said */
};

static const char *shown_name(const struct key *key) { return key->name; }

/* The array that the rules on values hold for: what a pointer with a length leads to, or an array itself. */
static bool find_elements(struct rf_compiler *c, const struct key *key, struct rf_check *check,
                          struct spot *element) {
  *element = key->spot;
  if (element->type->kind == RF_TYPE_REFERENCE && !follow(c, element)) return false;
  bool array = element->type->kind == RF_TYPE_ARRAY;
  uint64_t count = array ? element->type->count : 0;
  if (array)
    element->type = element->type->target;
  else if (!follow(c, element))
    return false;
  check->elements = true;
  while (element->type->kind == RF_TYPE_ARRAY) {
    count *= element->type->count;
    element->type = element->type->target;
  }
  check->stride = element->type->size;
  if (key->length) return compile_product(c, key->length, &check->length);
  check->length = (struct rf_product){
      .factors = 1, .constant = {true}, .number = {{.kind = RF_NUMBER_UNSIGNED, .bits = count}}};
  return count || fail(c, "the array's length is not known: add 'length N'");
}

static bool set_elements(struct rf_compiler *c, const struct key *key, struct rf_check *check) {
  struct spot element;
  if (!find_elements(c, key, check, &element)) return false;
  settle(&element);
  check->subject.at = element.at;
  if (number_kind(element.type, &check->subject)) return true;
  return fail(c, "'%s': rules on values need elements that are numbers; the pointed-to type is %s",
              shown_name(key),
              element.type->name && element.type->name[0] ? element.type->name : "none of known size");
}

static bool subject_pointer(struct rf_compiler *c, const struct key *key, struct rf_check *check) {
  struct spot spot = key->spot;
  if (spot.type->kind == RF_TYPE_REFERENCE)
    return fail(c, "'%s' is a reference, which is never null", shown_name(key));
  bool untyped = !c->signature && spot.type->kind == RF_TYPE_UNSIGNED;
  if (spot.type->kind != RF_TYPE_POINTER && !untyped)
    return fail(c, "'%s' is no pointer: 'null' and 'not null' hold for pointers", shown_name(key));
  return scalar_of(c, &spot, &check->subject);
}

static bool subject_value(struct rf_compiler *c, const struct key *key, struct rf_check *check,
                          const struct rf_rule *rule) {
  struct spot spot = key->spot;
  const struct rf_type *type = spot.type;
  if (key->length || type->kind == RF_TYPE_ARRAY) return set_elements(c, key, check);
  bool compares_pointers = type->kind == RF_TYPE_POINTER && rule->kind == RF_RULE_COMPARE &&
                           rule->terms == 1 && rule->term[0].path.root;
  if (type->kind == RF_TYPE_POINTER && !compares_pointers)
    return fail(
        c, "'%s' is a pointer: say how many elements the rule holds for (length n), or which one (%s[0])%s",
        shown_name(key), shown_name(key),
        type->target->kind == RF_TYPE_STRUCT ? ", or which field (->)" : "");
  if (!c->signature && !key->at_return)
    return fail(c,
                "'%s': without types only 'null' and 'not null' can be told: write the function's signature",
                shown_name(key));
  if (type->kind == RF_TYPE_STRUCT)
    return fail(c, "'%s' is a struct: name the field (%s.name)", shown_name(key), shown_name(key));
  return scalar_of(c, &spot, &check->subject);
}

static bool set_finite(struct rf_compiler *c, struct rf_check *check) {
  struct rf_number low = number_of_double(-DBL_MAX), high = number_of_double(DBL_MAX);
  if (check->subject.kind < RF_NUMBER_DOUBLE)
    return fail(c, "'finite' is for floating-point values; this one is whole");
  set_interval(check, &low, &high);
  if (check->subject.kind == RF_NUMBER_EXTENDED) { /* beyond every double there are finite ones */
    check->low = least_key(RF_NUMBER_DOUBLE) + 1;
    check->high = greatest_key(RF_NUMBER_DOUBLE) - 1;
  }
  return true;
}

static bool set_compare(struct rf_compiler *c, struct rf_check *check, const struct rf_rule *rule) {
  if (rule->terms == 1 && !rule->term[0].path.root) {
    set_relation(check, rule->relation, &rule->term[0].number);
    return true;
  }
  check->kind = RF_CHECK_COMPARE;
  check->relation = (uint8_t)rule->relation;
  return compile_product(c, rule, &check->other);
}

static bool set_null(struct rf_check *check, bool wanted) {
  struct rf_number zero = {.kind = RF_NUMBER_UNSIGNED};
  set_interval(check, &zero, &zero);
  check->outside = !wanted;
  check->guards = !wanted;
  return true;
}

static bool set_string(struct rf_compiler *c, const struct key *key, struct rf_check *check,
                       const struct rf_rule *rule) {
  struct spot element = key->spot;
  char why[200];
  check->kind = RF_CHECK_STRING;
  if (!is_pointer(element.type) && element.type->kind != RF_TYPE_ARRAY)
    return fail(c, "'%s' is no string: strings are pointers to char", shown_name(key));
  if (key->length || element.type->kind == RF_TYPE_ARRAY) {
    if (!find_elements(c, key, check, &element)) return false;
  } else if (!follow(c, &element))
    return false;
  if (!element.type->character)
    return fail(c, "'%s' is no string: it doesn't point to char", shown_name(key));
  settle(&element);
  check->subject = (struct rf_scalar){.at = element.at, .kind = RF_NUMBER_UNSIGNED, .size = 1};
  check->utf8 = rule->kind == RF_RULE_UTF8;
  check->has_most = rule->kind == RF_RULE_MAX_LENGTH;
  check->most = rule->low.bits;
  if (rule->kind != RF_RULE_MATCHES) return true;
  check->automaton = rf_automaton_new(rule->name, why, sizeof why);
  return check->automaton || fail(c, "/%s/: %s", rule->name, why);
}

static bool set_validator(struct rf_compiler *c, const struct key *key, struct rf_check *check,
                          const struct rf_rule *rule) {
  char why[200];
  check->kind = RF_CHECK_VALIDATOR;
  check->validator = rf_validator_find(rule->name, why, sizeof why);
  if (!check->validator) return fail(c, "%s", why);
  if (key->length || key->spot.type->kind == RF_TYPE_ARRAY) return set_elements(c, key, check);
  struct spot spot = key->spot;
  if (spot.type->kind != RF_TYPE_STRUCT) return scalar_of(c, &spot, &check->subject);
  settle(&spot);
  check->subject = (struct rf_scalar){.at = spot.at, .kind = RF_NUMBER_UNSIGNED};
  return spot.at.hops || fail(c, "'%s': a struct by value in registers has no address to give to a validator",
                              shown_name(key));
}

static bool set_readable(struct rf_compiler *c, const struct key *key, struct rf_check *check) {
  struct spot element;
  check->kind = RF_CHECK_READABLE;
  if (!find_elements(c, key, check, &element)) return false;
  settle(&element);
  check->subject = (struct rf_scalar){.at = element.at, .kind = RF_NUMBER_UNSIGNED, .size = 1};
  if (!check->stride) check->stride = 1; /* void *: bytes */
  return true;
}

static bool compile_rule(struct rf_compiler *c, const struct key *key, const struct rf_rule *rule,
                         struct rf_check *check) {
  check->group = key->group;
  check->parameter = key->name;
  check->rule = rule->text;
  check->on_return = rule->on_return || key->at_return;
  switch (rule->kind) {
  case RF_RULE_NOT_NULL:
  case RF_RULE_NULL: return subject_pointer(c, key, check) && set_null(check, rule->kind == RF_RULE_NULL);
  case RF_RULE_FINITE: return subject_value(c, key, check, rule) && set_finite(c, check);
  case RF_RULE_IN_RANGE:
    if (!subject_value(c, key, check, rule)) return false;
    set_interval(check, rule->has_low ? &rule->low : NULL, rule->has_high ? &rule->high : NULL);
    return true;
  case RF_RULE_IN_SET: return subject_value(c, key, check, rule) && set_set(c, check, rule);
  case RF_RULE_COMPARE: return subject_value(c, key, check, rule) && set_compare(c, check, rule);
  case RF_RULE_LENGTH: return set_readable(c, key, check);
  case RF_RULE_VALIDATOR: return set_validator(c, key, check, rule);
  default: return set_string(c, key, check, rule);
  }
}

/* A length by itself asks that the array can be read; with rules on values it says for how many they hold. */
static bool length_alone(const struct rf_rules *rules) {
  for (size_t i = 0; i < rules->count; i++) {
    enum rf_rule_kind kind = rules->rule[i].kind;
    if (kind != RF_RULE_LENGTH && kind != RF_RULE_NOT_NULL && kind != RF_RULE_NULL) return false;
  }
  return true;
}

static bool joins(const struct rf_check *a, const struct rf_check *b) {
  return b->kind == RF_CHECK_INTERVAL && b->elements && !b->outside && a->group == b->group &&
         a->on_return == b->on_return;
}

/* Neighbouring intervals over the same elements are tried in one pass. */
static void join_intervals(struct rf_check *check, size_t count) {
  for (size_t i = 0; i < count; i++) {
    struct rf_check *first = &check[i];
    first->screen_low = first->low;
    first->screen_high = first->high;
    if (first->kind != RF_CHECK_INTERVAL || !first->elements || first->outside) continue;
    for (size_t k = i + 1; k < count && joins(first, &check[k]); k++) {
      if (check[k].low > first->screen_low) first->screen_low = check[k].low;
      if (check[k].high < first->screen_high) first->screen_high = check[k].high;
      first->screens++;
    }
  }
}

static bool add_check(struct rf_compiler *c, struct rf_checks *checks, const struct rf_check *check) {
  checks->check = rf_pool_grow(c->pool, checks->check, checks->count, &checks->capacity, sizeof *check);
  if (!checks->check) return fail(c, "no memory");
  checks->check[checks->count++] = *check;
  return true;
}

static bool uses_result_early(const struct rf_check *check) {
  bool subject = check->subject.at.base == RF_PLACE_SAVED && check->subject.at.start >= RF_SAVED_RAX;
  return !check->on_return &&
         (subject || refers_to_result(&check->length) || refers_to_result(&check->other));
}

static bool begin_key(struct rf_compiler *c, const char *name, const struct rf_rules *rules,
                      struct key *key) {
  struct rf_path path;
  if (!rf_path_parse(name, c->pool, &path, NULL, c->error, c->error_bytes)) return false;
  key->name = name;
  key->at_return = !strcmp(path.root, "return") || !strcmp(path.root, "result");
  for (size_t i = 0; i < rules->count; i++) {
    if (rules->rule[i].kind != RF_RULE_LENGTH) continue;
    if (key->length) return fail(c, "'length' is said twice");
    key->length = &rules->rule[i];
  }
  if (!find_spot(c, &path, &key->spot)) return false;
  bool takes_length = is_pointer(key->spot.type) || key->spot.type->kind == RF_TYPE_ARRAY;
  if (key->length && !takes_length)
    return fail(c, "'%s' is no pointer: 'length' says how many elements a pointer leads to", name);
  return true;
}

bool rf_compile_rules(struct rf_compiler *c, const char *name, const struct rf_rules *rules,
                      struct rf_checks *checks) {
  struct key key = {0};
  size_t before = checks->count;
  c->error[0] = '\0';
  if (!begin_key(c, name, rules, &key)) return false;
  key.group = before ? (uint8_t)(checks->check[before - 1].group + 1) : 1;
  bool alone = length_alone(rules);
  for (size_t i = 0; i < rules->count; i++) {
    const struct rf_rule *rule = &rules->rule[i];
    if (rule->kind == RF_RULE_LENGTH && !alone) continue;
    struct rf_check check = {0};
    bool good = compile_rule(c, &key, rule, &check);
    if (good && uses_result_early(&check))
      good = fail(c, "the result is known on return only: put 'on return' before the rule");
    if (!good || !add_check(c, checks, &check)) {
      checks->count = before;
      return false;
    }
  }
  join_intervals(checks->check + before, checks->count - before);
  return true;
}

bool rf_compile_condition(struct rf_compiler *c, const struct rf_condition *condition,
                          struct rf_check *check) {
  c->error[0] = '\0';
  *check = (struct rf_check){.parameter = condition->path.root, .rule = condition->rule.text};
  return rf_compile_scalar(c, &condition->path, &check->subject) && set_compare(c, check, &condition->rule);
}

/* ---- substitutes ---- */

static void extended_bits(long double value, uint64_t bits[2]) {
  bits[0] = bits[1] = 0;
  memcpy(bits, &value, 10);
}

static bool integer_fits(const struct rf_type *type, const struct rf_number *value) {
  if (!rf_number_is_integer(value)) return false;
  __int128 n = rf_number_integer(value);
  int bits = (int)type->size * 8;
  __int128 one = 1, least = type->kind == RF_TYPE_SIGNED ? -(one << (bits - 1)) : 0;
  __int128 most = type->kind == RF_TYPE_SIGNED ? (one << (bits - 1)) - 1 : (one << bits) - 1;
  bool all_ones = n == -1 && type->kind == RF_TYPE_POINTER; /* MAP_FAILED and its like */
  return all_ones || (n >= least && n <= most);
}

bool rf_compile_substitute(struct rf_compiler *c, const struct rf_on_violation *reaction,
                           struct rf_substitute *s) {
  c->error[0] = '\0';
  *s = (struct rf_substitute){
      .verdict = RF_VERDICT_INTEGER, .bits = {reaction->value.bits}, .error = reaction->error};
  if (!c->signature)
    return rf_number_is_integer(&reaction->value) ||
           fail(c, "'return' with a fraction needs the function's signature");
  const struct rf_type *type = c->signature->result;
  if (type->kind == RF_TYPE_VOID) return true;
  if (type->kind == RF_TYPE_FLOAT) {
    double value = double_of(&reaction->value);
    float narrow = (float)value;
    uint32_t narrow_bits;
    memcpy(&narrow_bits, &narrow, sizeof narrow);
    s->verdict = type->size > 8 ? RF_VERDICT_EXTENDED : RF_VERDICT_VECTOR;
    s->bits[0] = type->size == 4 ? narrow_bits : bits_of(value);
    if (type->size > 8) extended_bits((long double)value, s->bits);
    return true;
  }
  if (type->kind != RF_TYPE_SIGNED && type->kind != RF_TYPE_UNSIGNED && type->kind != RF_TYPE_POINTER)
    return fail(c, "'return' can replace results that are integers, floats or pointers only");
  return integer_fits(type, &reaction->value) || fail(c, "the value to return doesn't fit the result's type");
}
