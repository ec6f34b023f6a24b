/* See evaluate.h. What needs vector registers (long arrays) or foreign code (validators) goes to a stack of
 * Refunc's own. */
#include "validate/evaluate.h"

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/thread.h"
#include "validate/array.h"
#include "validate/memory.h"
#include "validate/validators.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define SHORT_ARRAY 300u        /* up to here one by one is cheaper than saving vectors */
#define PIECE ((size_t)1 << 20) /* bytes of an array that are looked at together */
#define LONGEST_STRING ((size_t)16 << 20)

struct rf_unaligned2 {
  uint16_t word;
} __attribute__((packed, may_alias));
struct rf_unaligned4 {
  uint32_t word;
} __attribute__((packed, may_alias));
struct rf_unaligned {
  uint64_t word;
} __attribute__((packed, may_alias));

static inline uint64_t load(uintptr_t address, uint32_t size) {
  switch (size) {
  case 1: return *(const uint8_t *)address;
  case 2: return ((const struct rf_unaligned2 *)address)->word;
  case 4: return ((const struct rf_unaligned4 *)address)->word;
  default: return ((const struct rf_unaligned *)address)->word;
  }
}

/* ---- places ---- */

static enum rf_outcome outcome_of(enum rf_readability readability) {
  return readability == RF_READABLE ? RF_GOOD : readability == RF_UNREADABLE ? RF_VIOLATED : RF_UNCHECKED;
}

static enum rf_outcome follow_hops(const struct rf_locator *at, uintptr_t *address, uintptr_t *bad) {
  for (uint32_t i = 0; i < at->hops; i++) {
    enum rf_outcome outcome = i ? outcome_of(rf_memory_readable(*address, 8, bad)) : RF_GOOD;
    if (outcome != RF_GOOD) return outcome;
    *address = load(*address, 8) + (uintptr_t)(intptr_t)at->hop[i];
  }
  return RF_GOOD;
}

static inline uintptr_t begin_of(const struct rf_locator *at, const struct rf_call *call) {
  return (at->base == RF_PLACE_SAVED ? (uintptr_t)call->saved : call->stack) + (uintptr_t)(intptr_t)at->start;
}

/* The address of what a scalar describes; the last pointer is followed, but what it leads to is not looked at
 * yet. */
static inline enum rf_outcome locate(const struct rf_locator *at, const struct rf_call *call,
                                     uintptr_t *address, uintptr_t *bad) {
  *address = begin_of(at, call);
  return at->hops ? follow_hops(at, address, bad) : RF_GOOD;
}

/* ---- numbers ---- */

static inline uint64_t bit_field(uint64_t word, const struct rf_scalar *s) {
  word = word >> s->first_bit;
  uint32_t unused = 64u - s->bits;
  return s->kind == RF_NUMBER_SIGNED ? (uint64_t)((int64_t)(word << unused) >> unused)
                                     : word << unused >> unused;
}

static inline uint64_t widened(uint64_t word, const struct rf_scalar *s) {
  if (s->bits) return bit_field(word, s);
  if (s->kind == RF_NUMBER_DOUBLE) return s->size == 4 ? rf_double_of_float((uint32_t)word) : word;
  if (s->kind != RF_NUMBER_SIGNED || s->size == 8) return word;
  return (uint64_t)(s->size == 4   ? (int64_t)(int32_t)word
                    : s->size == 2 ? (int64_t)(int16_t)word
                                   : (int64_t)(int8_t)word);
}

static inline void number_at(uintptr_t address, const struct rf_scalar *s, struct rf_number *n) {
  n->kind = s->kind;
  n->bits = widened(load(address, s->size), s);
  n->exponent = s->kind == RF_NUMBER_EXTENDED ? (uint16_t)load(address + 8, 2) : 0;
}

enum rf_outcome rf_scalar_read(const struct rf_scalar *scalar, const struct rf_call *call,
                               struct rf_number *number, uintptr_t *bad) {
  uintptr_t address;
  enum rf_outcome outcome = locate(&scalar->at, call, &address, bad);
  if (outcome == RF_GOOD && scalar->at.hops)
    outcome = outcome_of(rf_memory_readable(address, scalar->size, bad));
  if (outcome == RF_GOOD) number_at(address, scalar, number);
  return outcome;
}

static inline bool extended_in(const struct rf_check *check, const struct rf_number *n, int64_t low,
                               int64_t high) {
  uint64_t bits;
  (void)check;
  __int128 key = rf_number_key(n, &bits);
  return key >= 2 * (__int128)low && key <= 2 * (__int128)high && !rf_double_is_nan(bits);
}

static inline int64_t key_of(const struct rf_number *n) {
  if (n->kind == RF_NUMBER_SIGNED) return (int64_t)n->bits;
  return n->kind == RF_NUMBER_UNSIGNED ? (int64_t)(n->bits ^ RF_DOUBLE_SIGN) : rf_double_key(n->bits);
}

static inline bool in_interval(const struct rf_check *check, const struct rf_number *n, int64_t low,
                               int64_t high) {
  if (n->kind == RF_NUMBER_EXTENDED) return extended_in(check, n, low, high);
  int64_t key = key_of(n);
  return key >= low && key <= high;
}

static bool in_set(const struct rf_check *check, const struct rf_number *n) {
  for (uint32_t i = 0; i < check->set_count; i++)
    if (in_interval(check, n, check->set[i], check->set[i])) return true;
  return false;
}

/* ---- products ---- */

struct product {
  struct rf_number single; /* of one factor */
  __int128 whole;
  bool is_single;
};

#define WHOLE_LIMIT ((__int128)1 << 100)

static enum rf_outcome read_product(const struct rf_product *p, const struct rf_call *call,
                                    struct product *product, uintptr_t *bad) {
  product->is_single = p->factors == 1;
  product->whole = 1;
  for (uint32_t i = 0; i < p->factors; i++) {
    struct rf_number n = p->number[i];
    enum rf_outcome outcome = p->constant[i] ? RF_GOOD : rf_scalar_read(&p->scalar[i], call, &n, bad);
    if (outcome != RF_GOOD) return outcome;
    product->single = n;
    if (!rf_number_is_integer(&n)) continue;
    __int128 before = product->whole;
    if (__builtin_mul_overflow(before, rf_number_integer(&n), &product->whole) ||
        product->whole > WHOLE_LIMIT)
      product->whole = WHOLE_LIMIT;
    if (product->whole < -WHOLE_LIMIT) product->whole = -WHOLE_LIMIT;
  }
  return RF_GOOD;
}

static int compare_product(const struct rf_number *n, const struct product *product) {
  if (product->is_single) return rf_number_compare(n, &product->single);
  if (rf_number_is_integer(n)) {
    __int128 value = rf_number_integer(n);
    return value < product->whole ? -1 : value > product->whole;
  }
  uint64_t bits;
  __int128 key = rf_number_key(n, &bits);
  if (rf_double_is_nan(bits)) return RF_UNORDERED;
  int order = -rf_compare_integer_double(product->whole, bits);
  return order || !(key & 1) ? order : key < 0 ? -1 : 1;
}

static bool relation_holds(uint8_t relation, int order) {
  switch (relation) {
  case RF_EQUAL: return order == 0;
  case RF_NOT_EQUAL: return order != 0;
  case RF_LESS: return order == -1;
  case RF_AT_MOST: return order == -1 || order == 0;
  case RF_MORE: return order == 1;
  default: return order == 1 || order == 0;
  }
}

/* The number of elements. A negative one is a violation by itself. */
static enum rf_outcome read_length(const struct rf_check *check, const struct rf_call *call, uint64_t *count,
                                   struct rf_finding *finding) {
  struct product product;
  uintptr_t bad = 0;
  enum rf_outcome outcome = read_product(&check->length, call, &product, &bad);
  if (outcome == RF_VIOLATED) *finding = (struct rf_finding){.address = bad, .flags = RF_FINDING_UNREADABLE};
  if (outcome != RF_GOOD) return outcome;
  *count = product.whole > UINT64_MAX ? UINT64_MAX : (uint64_t)product.whole;
  if (product.whole >= 0) return RF_GOOD;
  *finding = (struct rf_finding){.value = {.kind = RF_NUMBER_SIGNED, .bits = (uint64_t)product.whole}};
  return RF_VIOLATED;
}

/* ---- elements ---- */

static void search_with_vectors(struct rf_array_query *query) {
  rf_with_vectors_saved(rf_array_search, (uintptr_t)query, 0);
}

struct elements {
  const struct rf_check *check;
  const struct rf_call *call;
  uintptr_t data;
  int64_t low, high; /* of the interval, or of several together */
  struct product other;
};

static bool element_good(const struct elements *e, uint64_t index, struct rf_number *n) {
  const struct rf_check *check = e->check;
  number_at(e->data + index * check->stride, &check->subject, n);
  switch (check->kind) {
  case RF_CHECK_INTERVAL: return in_interval(check, n, e->low, e->high) != check->outside;
  case RF_CHECK_SET: return in_set(check, n);
  case RF_CHECK_COMPARE: return relation_holds(check->relation, compare_product(n, &e->other));
  default: return true;
  }
}

static bool vectors_serve(const struct rf_check *check) {
  return check->kind == RF_CHECK_INTERVAL && !check->outside && check->stride == check->subject.size &&
         check->subject.kind != RF_NUMBER_EXTENDED;
}

/* With kind and size known to the compiler. Cost: about 1 ns an element. */
static inline __attribute__((always_inline)) uint64_t search_each(const struct elements *e, uint64_t from,
                                                                  uint64_t to, uint8_t kind, uint8_t size) {
  const struct rf_scalar scalar = {.kind = kind, .size = size};
  uintptr_t at = e->data + from * size;
  int64_t low = e->low, high = e->high;
  for (; from < to; from++, at += size) {
    struct rf_number n = {.kind = kind, .bits = widened(load(at, size), &scalar)};
    int64_t key = key_of(&n);
    if (key < low || key > high) break;
  }
  return from;
}

/* Where vectors would serve, too. */
static uint64_t search_short(const struct elements *e, uint64_t from, uint64_t to) {
  const struct rf_scalar *s = &e->check->subject;
  struct rf_number n;
  switch (s->kind << 4 | s->size) {
  case RF_NUMBER_DOUBLE << 4 | 8: return search_each(e, from, to, RF_NUMBER_DOUBLE, 8);
  case RF_NUMBER_DOUBLE << 4 | 4: return search_each(e, from, to, RF_NUMBER_DOUBLE, 4);
  case RF_NUMBER_SIGNED << 4 | 8: return search_each(e, from, to, RF_NUMBER_SIGNED, 8);
  case RF_NUMBER_SIGNED << 4 | 4: return search_each(e, from, to, RF_NUMBER_SIGNED, 4);
  case RF_NUMBER_UNSIGNED << 4 | 8: return search_each(e, from, to, RF_NUMBER_UNSIGNED, 8);
  case RF_NUMBER_UNSIGNED << 4 | 4: return search_each(e, from, to, RF_NUMBER_UNSIGNED, 4);
  default:
    while (from < to && element_good(e, from, &n)) from++;
    return from;
  }
}

/* The first bad element of [from, to), or to. */
static uint64_t search_piece(const struct elements *e, uint64_t from, uint64_t to) {
  const struct rf_check *check = e->check;
  struct rf_number n;
  if (vectors_serve(check) && to - from <= SHORT_ARRAY) return search_short(e, from, to);
  if (vectors_serve(check)) {
    struct rf_array_query query = {(const void *)(e->data + from * check->stride),
                                   to - from,
                                   0,
                                   e->low,
                                   e->high,
                                   check->subject.kind,
                                   check->subject.size};
    rf_preserved_on_own_stack((uintptr_t)&query, 0, 0, search_with_vectors);
    return from + query.first_bad;
  }
  while (from < to && element_good(e, from, &n)) from++;
  return from;
}

static enum rf_outcome unreadable(const struct elements *e, enum rf_outcome outcome, uintptr_t bad,
                                  struct rf_finding *finding) {
  uint64_t index = (bad - e->data) / e->check->stride;
  *finding =
      (struct rf_finding){.address = bad, .index = index, .flags = RF_FINDING_UNREADABLE | RF_FINDING_INDEX};
  return outcome;
}

static enum rf_outcome run_elements(struct elements *e, struct rf_finding *finding) {
  const struct rf_check *check = e->check;
  uint64_t count, piece = PIECE / check->stride ? PIECE / check->stride : 1;
  uintptr_t bad = 0;
  enum rf_outcome outcome = read_length(check, e->call, &count, finding);
  if (outcome != RF_GOOD || !count) return outcome;
  outcome = locate(&check->subject.at, e->call, &e->data, &bad);
  if (outcome == RF_GOOD && check->kind == RF_CHECK_COMPARE)
    outcome = read_product(&check->other, e->call, &e->other, &bad);
  if (outcome != RF_GOOD) {
    *finding = (struct rf_finding){.address = bad, .flags = RF_FINDING_UNREADABLE};
    return outcome;
  }
  for (uint64_t from = 0; from < count; from += piece) {
    uint64_t to = count - from > piece ? from + piece : count;
    uintptr_t start = e->data + from * check->stride;
    enum rf_readability can = rf_memory_readable(start, (to - from) * check->stride, &bad);
    if (can == RF_NOT_KNOWN) return RF_UNCHECKED;
    if (can == RF_UNREADABLE)
      to = bad > start ? from + (bad - start) / check->stride : from; /* up to there it may be bad already */
    uint64_t found = check->kind == RF_CHECK_READABLE ? to : search_piece(e, from, to);
    if (found < to) {
      *finding = (struct rf_finding){.index = found, .flags = RF_FINDING_INDEX};
      number_at(e->data + found * check->stride, &check->subject, &finding->value);
      return RF_VIOLATED;
    }
    if (can == RF_UNREADABLE) return unreadable(e, RF_VIOLATED, bad, finding);
  }
  return RF_GOOD;
}

/* ---- strings ---- */

#define HIGH_BITS 0x8080808080808080u
#define LOW_BITS 0x0101010101010101u

/* Bytes of well-formed UTF-8 up to length; shorter than length: what is wrong begins there. */
static uint64_t utf8_prefix(const unsigned char *text, uint64_t length) {
  uint64_t at = 0;
  while (at < length) {
    if (length - at >= 8 && !(load((uintptr_t)text + at, 8) & HIGH_BITS)) {
      at += 8;
      continue;
    }
    unsigned char c = text[at];
    uint32_t more = c < 0x80                ? 0
                    : c >= 0xc2 && c < 0xe0 ? 1
                    : c >= 0xe0 && c < 0xf0 ? 2
                    : c >= 0xf0 && c < 0xf5 ? 3
                                            : 9;
    if (more > 3 || length - at <= more) return at;
    unsigned char second = more ? text[at + 1] : 0x80;
    bool wrong = (c == 0xe0 && second < 0xa0) || (c == 0xed && second > 0x9f) ||
                 (c == 0xf0 && second < 0x90) || (c == 0xf4 && second > 0x8f);
    for (uint32_t i = 1; i <= more; i++) wrong = wrong || (text[at + i] & 0xc0) != 0x80;
    if (wrong) return at;
    at += more + 1;
  }
  return length;
}

static inline bool has_zero_byte(uint64_t word) { return ((word - LOW_BITS) & ~word & HIGH_BITS) != 0; }

/* Finds the NUL; looks at no page before it is known to be readable. */
static enum rf_outcome string_length(uintptr_t text, uint64_t most, uint64_t *length,
                                     struct rf_finding *finding) {
  for (uintptr_t at = text;;) {
    uintptr_t end = (at | 4095u) + 1, bad;
    enum rf_readability can = rf_memory_readable(at, end - at, &bad);
    if (can == RF_NOT_KNOWN) return RF_UNCHECKED;
    if (can == RF_UNREADABLE) {
      *finding = (struct rf_finding){
          .address = bad, .index = at - text, .flags = RF_FINDING_UNREADABLE | RF_FINDING_INDEX};
      return RF_VIOLATED;
    }
    for (; at < end; at++) {
      while (end - at >= 8 && !has_zero_byte(load(at, 8)) && at - text + 8 <= most) at += 8;
      if (at == end) break;
      if (!*(const char *)at || at - text > most) {
        *length = at - text;
        return RF_GOOD;
      }
    }
    if (at - text < LONGEST_STRING) continue;
    *finding = (struct rf_finding){
        .address = text, .index = at - text, .flags = RF_FINDING_ENDLESS | RF_FINDING_INDEX};
    return RF_VIOLATED;
  }
}

static bool matches(const struct rf_automaton *automaton, uintptr_t text, uint64_t length) {
  uint32_t state = rf_automaton_feed(automaton, rf_automaton_start(automaton), (const void *)text, length);
  return rf_automaton_matches_here(automaton, state);
}

static enum rf_outcome run_string(const struct rf_check *check, const struct rf_call *call,
                                  struct rf_finding *finding) {
  uintptr_t text, bad = 0;
  uint64_t length = 0;
  enum rf_outcome outcome = locate(&check->subject.at, call, &text, &bad);
  if (outcome == RF_GOOD && check->elements) {
    outcome = read_length(check, call, &length, finding);
    if (outcome != RF_GOOD || !length) return outcome;
    outcome = outcome_of(rf_memory_readable(text, length, &bad));
  } else if (outcome == RF_GOOD) {
    outcome = string_length(text, check->has_most ? check->most : UINT64_MAX, &length, finding);
    if (outcome != RF_GOOD) return outcome;
  }
  if (outcome != RF_GOOD) {
    *finding = (struct rf_finding){.address = bad, .flags = RF_FINDING_UNREADABLE};
    return outcome;
  }
  finding->value =
      (struct rf_number){0}; /* its room for a message is not to be filled with zeros each time */
  finding->address = text;
  finding->index = length;
  finding->flags = RF_FINDING_TEXT;
  if (check->has_most && length > check->most) return RF_VIOLATED;
  if (check->utf8 && utf8_prefix((const unsigned char *)text, length) < length) return RF_VIOLATED;
  return !check->automaton || matches(check->automaton, text, length) ? RF_GOOD : RF_VIOLATED;
}

/* ---- validators ---- */

struct validation {
  const struct rf_validator_slot *slot;
  struct rf_validator_value value;
  int answer;
  char message[RF_MESSAGE_BYTES];
};

static void call_validator(struct validation *v) {
  uint32_t environment = rf_float_reset();
  v->answer = v->slot->function(&v->value, v->slot->user);
  rf_float_restore(environment);
}

static void validate(struct validation *v) {
  rf_tls.internal++; /* hooks off */
  rf_with_vectors_saved(call_validator, (uintptr_t)v, 0);
  rf_tls.internal--;
}

static void real_of(struct rf_validator_value *value, uint64_t bits) {
  union {
    uint64_t bits;
    char bytes[8];
  } from = {bits};
  char *to = (char *)&value->real; /* a double is not touched with general registers alone */
  for (int i = 0; i < 8; i++) to[i] = from.bytes[i];
}

static enum rf_outcome run_validator(const struct rf_check *check, const struct rf_call *call,
                                     struct rf_finding *finding) {
  uintptr_t data, bad = 0;
  uint64_t count = 1;
  const struct rf_scalar *s = &check->subject;
  if (!__atomic_load_n(&check->validator->function, __ATOMIC_ACQUIRE)) return RF_UNCHECKED;
  enum rf_outcome outcome = check->elements ? read_length(check, call, &count, finding) : RF_GOOD;
  if (outcome != RF_GOOD) return outcome;
  outcome = locate(&s->at, call, &data, &bad);
  uint64_t bytes = check->elements ? check->stride : s->size;
  if (outcome == RF_GOOD && s->at.hops && bytes && count)
    outcome =
        count > (uint64_t)1 << 40 ? RF_VIOLATED : outcome_of(rf_memory_readable(data, count * bytes, &bad));
  if (outcome != RF_GOOD) {
    *finding = (struct rf_finding){.address = bad ? bad : data, .flags = RF_FINDING_UNREADABLE};
    return outcome;
  }
  struct validation v = {check->validator,
                         {.size = sizeof v.value,
                          .parameter = check->parameter,
                          .kind = s->size ? s->kind : 4,
                          .data = (const void *)data,
                          .count = count,
                          .element_size = bytes},
                         0,
                         ""};
  v.value.message = v.message;
  v.value.message_bytes = sizeof v.message;
  struct rf_number n = {0};
  if (s->size && count) number_at(data, s, &n);
  v.value.integer = (int64_t)n.bits;
  if (n.kind == RF_NUMBER_DOUBLE) real_of(&v.value, n.bits);
  rf_preserved_on_own_stack((uintptr_t)&v, 0, 0, validate);
  *finding = (struct rf_finding){.value = n, .flags = v.message[0] ? RF_FINDING_MESSAGE : 0};
  for (size_t i = 0; v.message[0] && i + 1 < sizeof v.message; i++) finding->message[i] = v.message[i];
  return v.answer ? RF_VIOLATED : RF_GOOD;
}

/* ---- checks ---- */

static enum rf_outcome run_scalar(const struct rf_check *check, const struct rf_call *call,
                                  struct rf_finding *finding) {
  struct rf_number n;
  struct product other;
  uintptr_t bad = 0;
  enum rf_outcome outcome = rf_scalar_read(&check->subject, call, &n, &bad);
  if (outcome == RF_GOOD && check->kind == RF_CHECK_COMPARE)
    outcome = read_product(&check->other, call, &other, &bad);
  if (outcome != RF_GOOD) {
    *finding = (struct rf_finding){.address = bad, .flags = RF_FINDING_UNREADABLE};
    return outcome;
  }
  bool good = check->kind == RF_CHECK_INTERVAL
                  ? in_interval(check, &n, check->low, check->high) != check->outside
              : check->kind == RF_CHECK_SET ? in_set(check, &n)
                                            : relation_holds(check->relation, compare_product(&n, &other));
  if (LIKELY(good)) return RF_GOOD;
  *finding = (struct rf_finding){.value = n};
  return RF_VIOLATED;
}

static enum rf_outcome run_over_elements(const struct rf_check *check, const struct rf_call *call,
                                         struct rf_finding *finding) {
  struct elements e = {.check = check, .call = call, .low = check->low, .high = check->high};
  return run_elements(&e, finding);
}

enum rf_outcome rf_check_run(const struct rf_check *check, const struct rf_call *call,
                             struct rf_finding *finding) {
  if (check->kind == RF_CHECK_STRING) return run_string(check, call, finding);
  if (check->kind == RF_CHECK_VALIDATOR) return run_validator(check, call, finding);
  return check->elements ? run_over_elements(check, call, finding) : run_scalar(check, call, finding);
}

/* Several intervals over one array in one pass: usually all hold. */
static bool screened(const struct rf_check *check, const struct rf_call *call) {
  struct elements e = {.check = check, .call = call, .low = check->screen_low, .high = check->screen_high};
  struct rf_finding finding;
  return run_elements(&e, &finding) == RF_GOOD;
}

/* Nearly all rules on numbers in registers hold, and end here. Cost: 2 ns. */
static inline bool plainly_good(const struct rf_check *check, const struct rf_call *call) {
  const struct rf_scalar *s = &check->subject;
  struct rf_number n;
  if (check->kind != RF_CHECK_INTERVAL || check->elements || s->at.hops || s->kind == RF_NUMBER_EXTENDED)
    return false;
  n.kind = s->kind;
  n.bits = widened(load(begin_of(&s->at, call), s->size), s);
  int64_t key = key_of(&n);
  return (key >= check->low && key <= check->high) != check->outside;
}

uint32_t rf_checks_run(const struct rf_check *check, uint32_t count, const struct rf_call *call,
                       rf_found *found, void *user) {
  uint32_t violated = 0, passed_over = 0; /* the group whose pointer is null */
  for (uint32_t i = 0; i < count; i++, check++) {
    struct rf_finding finding;
    if (LIKELY(plainly_good(check, call)) || check->group == passed_over) continue;
    if (check->screens && screened(check, call)) {
      i += check->screens;
      check += check->screens;
      continue;
    }
    enum rf_outcome outcome = rf_check_run(check, call, &finding);
    if (outcome == RF_GOOD) continue;
    if (outcome == RF_UNCHECKED) {
      found(user, check, NULL);
      continue;
    }
    violated++;
    if (check->guards) passed_over = check->group;
    found(user, check, &finding);
  }
  return violated;
}
