/* The rule language, declarations, places by the calling convention, exact comparison, automata. */
#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <regex.h>
#include <stdlib.h>
#include <string.h>

#include "validate/automaton.h"
#include "validate/language.h"
#include "validate/number.h"
#include "validate/type.h"

static struct rf_pool pool;
static char error[400];

static const char *parsed(const char *text) {
  struct rf_rules rules;
  return rf_rules_parse(text, &pool, &rules, error, sizeof error) ? "" : error;
}

Test(rules, are_read) {
  struct rf_rules rules;
  cr_assert(rf_rules_parse("not null; finite;in -1.5 .. 2e3 ; length rows * cols*2", &pool, &rules, error,
                           sizeof error),
            "%s", error);
  cr_assert_eq(rules.count, 4);
  cr_assert_eq(rules.rule[0].kind, RF_RULE_NOT_NULL);
  cr_assert_eq(rules.rule[2].kind, RF_RULE_IN_RANGE);
  cr_assert(rules.rule[2].has_low && rules.rule[2].has_high);
  cr_assert_eq(rules.rule[3].terms, 3);
  cr_assert_str_eq(rules.rule[3].term[1].path.root, "cols");
  cr_assert_str_eq(rules.rule[3].text, "length rows * cols*2");
}

Test(rules, ends_of_ranges) {
  struct rf_rules rules;
  cr_assert(rf_rules_parse("in 0..1; in ..5; in 0x10..; in 18446744073709551615..", &pool, &rules, error,
                           sizeof error),
            "%s", error);
  cr_assert(!rules.rule[1].has_low && rules.rule[1].has_high && rules.rule[1].high.bits == 5);
  cr_assert(rules.rule[2].low.bits == 16 && !rules.rule[2].has_high);
  cr_assert_eq(rules.rule[3].low.bits, UINT64_MAX);
}

Test(rules, on_return_holds_for_what_follows) {
  struct rf_rules rules;
  cr_assert(
      rf_rules_parse("not null; on return; in 0..1; on entry; finite", &pool, &rules, error, sizeof error));
  cr_assert(!rules.rule[0].on_return && rules.rule[1].on_return && !rules.rule[2].on_return);
}

Test(rules, say_what_would_be_right) {
  cr_assert(strstr(parsed("finit"), "did you mean 'finite'"), "%s", error);
  cr_assert(strstr(parsed("in 5"), "range such as 0..1"), "%s", error);
  cr_assert(strstr(parsed("in 3..1"), "empty"), "%s", error);
  cr_assert(strstr(parsed("= 3"), "=="), "%s", error);
  cr_assert(strstr(parsed("finite in 0..1"), "separated by ';'"), "%s", error);
  cr_assert(strstr(parsed("matches /a"), "'/'"), "%s", error);
  cr_assert(strstr(parsed("matches /(a/"), "')' is missing"), "%s", error);
  cr_assert(strstr(parsed("in {1, 2"), "'}'"), "%s", error);
  cr_assert(strstr(parsed("length"), "expected"), "%s", error);
  cr_assert(strstr(parsed(" ; "), "no rule"), "%s", error);
  cr_assert(strstr(parsed("in 1..2x"), "no number"), "%s", error);
}

Test(rules, reactions) {
  struct rf_on_violation reaction;
  cr_assert(rf_reaction_parse("return -1 errno EINVAL", &pool, &reaction, error, sizeof error));
  cr_assert(reaction.reaction == RF_REACT_RETURN && (int64_t)reaction.value.bits == -1 &&
            reaction.error == 22);
  cr_assert(rf_reaction_parse("call /opt/a.so:f", &pool, &reaction, error, sizeof error));
  cr_assert_str_eq(reaction.plugin, "/opt/a.so");
  cr_assert(!rf_reaction_parse("return", &pool, &reaction, error, sizeof error));
  cr_assert(!rf_reaction_parse("call a.so:f", &pool, &reaction, error, sizeof error));
  cr_assert(!rf_reaction_parse("report me", &pool, &reaction, error, sizeof error));
}

/* ---- numbers ---- */

static struct rf_number whole(int64_t n) {
  return (struct rf_number){.kind = RF_NUMBER_SIGNED, .bits = (uint64_t)n};
}
static struct rf_number positive(uint64_t n) {
  return (struct rf_number){.kind = RF_NUMBER_UNSIGNED, .bits = n};
}
static struct rf_number real(double n) {
  struct rf_number number = {.kind = RF_NUMBER_DOUBLE};
  memcpy(&number.bits, &n, sizeof n);
  return number;
}
static struct rf_number extended(long double n) {
  struct rf_number number = {.kind = RF_NUMBER_EXTENDED};
  memcpy(&number.bits, &n, 8);
  memcpy(&number.exponent, (char *)&n + 8, 2);
  return number;
}
static int sign(long double difference) { return (difference > 0) - (difference < 0); }

/* A long double holds every integer of 64 bits and every double exactly: it is the oracle. */
Test(numbers, are_compared_exactly) {
  static const double reals[] = {0,       -0.0,     0.5,      -0.5,   1,         -1,      1e-300,    4.9e-324,
                                 1e300,   0x1p53,   0x1p62,   0x1p63, 0x1p64,    -0x1p63, 0x1p100,   2.5,
                                 DBL_MAX, -DBL_MAX, INFINITY, 3,      1e15 + .5, -2.5,    -0x1.8p62, 0x1p31};
  static const int64_t wholes[] = {0,
                                   1,
                                   -1,
                                   2,
                                   -2,
                                   3,
                                   INT64_MAX,
                                   INT64_MIN,
                                   1ll << 53,
                                   (1ll << 53) + 1,
                                   1ll << 62,
                                   -(1ll << 62),
                                   1000000000000000};
  for (size_t i = 0; i < sizeof reals / sizeof *reals; i++) {
    struct rf_number a = real(reals[i]);
    for (size_t k = 0; k < sizeof wholes / sizeof *wholes; k++) {
      struct rf_number b = whole(wholes[k]), c = positive((uint64_t)wholes[k]);
      cr_assert_eq(rf_number_compare(&a, &b), sign((long double)reals[i] - wholes[k]), "%g and %ld", reals[i],
                   (long)wholes[k]);
      cr_assert_eq(rf_number_compare(&b, &a), -rf_number_compare(&a, &b));
      cr_assert_eq(rf_number_compare(&a, &c), sign((long double)reals[i] - (uint64_t)wholes[k]), "%g and %lu",
                   reals[i], (unsigned long)wholes[k]);
    }
    for (size_t k = 0; k < sizeof reals / sizeof *reals; k++) {
      struct rf_number b = real(reals[k]);
      cr_assert_eq(rf_number_compare(&a, &b), (reals[i] > reals[k]) - (reals[i] < reals[k]));
    }
  }
}

Test(numbers, extended_ones_lie_between_doubles) {
  struct rf_number a = extended(1.0L + 0x1p-60L), one = real(1), integer = whole(1),
                   b = extended(-1.0L - 0x1p-60L), minus = whole(-1);
  cr_assert_eq(rf_number_compare(&a, &one), 1);
  cr_assert_eq(rf_number_compare(&one, &a), -1);
  cr_assert_eq(rf_number_compare(&a, &integer), 1);
  cr_assert_eq(rf_number_compare(&integer, &a), -1);
  cr_assert_eq(rf_number_compare(&b, &minus), -1);
  cr_assert_eq(rf_number_compare(&minus, &b), 1);
}

Test(numbers, nan_is_unordered) {
  struct rf_number nan = real(NAN), one = whole(1);
  cr_assert_eq(rf_number_compare(&nan, &one), RF_UNORDERED);
  cr_assert_eq(rf_number_compare(&nan, &nan), RF_UNORDERED);
}

Test(numbers, floats_become_doubles) {
  srand(1);
  for (int i = 0; i < 200000; i++) {
    uint32_t bits = (uint32_t)rand() << 16 ^ (uint32_t)rand();
    float value;
    memcpy(&value, &bits, sizeof value);
    double wide = value, ours;
    uint64_t got = rf_double_of_float(bits);
    memcpy(&ours, &got, sizeof ours);
    cr_assert(isnan(wide) ? isnan(ours) : !memcmp(&ours, &wide, sizeof wide), "%a gave %a", wide, ours);
  }
}

/* ---- declarations and places ---- */

static struct rf_signature declared(const char *text) {
  struct rf_signature signature;
  cr_assert(rf_signature_parse(text, &pool, &signature, error, sizeof error), "%s: %s", text, error);
  return signature;
}

static int place(const struct rf_signature *s, size_t i, int part) {
  return s->parameter[i].place.part[part];
}

Test(places, of_the_convention) {
  struct rf_signature s = declared("void f(struct { double x; int y; } p, struct { float a, b, c; } q, "
                                   "struct { long a, b, c; } big, long double e, int n)");
  cr_assert(place(&s, 0, 0) == RF_SAVED_VECTOR && place(&s, 0, 1) == RF_SAVED_INTEGER);
  cr_assert(place(&s, 1, 0) == RF_SAVED_VECTOR + 8 && place(&s, 1, 1) == RF_SAVED_VECTOR + 16);
  cr_assert(s.parameter[2].place.kind == RF_PLACE_STACK && place(&s, 2, 0) == 0);
  cr_assert(s.parameter[3].place.kind == RF_PLACE_STACK && place(&s, 3, 0) == 32); /* aligned to 16 */
  cr_assert(place(&s, 4, 0) == RF_SAVED_INTEGER + 8);
}

Test(places, seventh_argument_and_hidden_result) {
  struct rf_signature s =
      declared("struct { long a, b, c; } f(int a, int b, int c, int d, int e, int g, double h)");
  cr_assert(place(&s, 0, 0) == RF_SAVED_INTEGER + 8, "the first register holds where the result goes");
  cr_assert(s.parameter[5].place.kind == RF_PLACE_STACK && place(&s, 5, 0) == 0);
  cr_assert(place(&s, 6, 0) == RF_SAVED_VECTOR && s.result_place.by_address);
}

Test(places, a_struct_that_no_longer_fits_is_whole_on_the_stack) {
  struct rf_signature s =
      declared("void f(long a, long b, long c, long d, long e, struct { long x, y; } p, long g)");
  cr_assert(s.parameter[5].place.kind == RF_PLACE_STACK && place(&s, 5, 0) == 0);
  cr_assert(place(&s, 6, 0) == RF_SAVED_INTEGER + 40);
}

Test(places, results) {
  cr_assert_eq(declared("double f(void)").result_place.part[0], RF_SAVED_XMM0);
  cr_assert_eq(declared("long double f(void)").result_place.part[0], RF_SAVED_X87);
  struct rf_signature s = declared("struct { long n; double x; } f()");
  cr_assert(s.result_place.part[0] == RF_SAVED_RAX && s.result_place.part[1] == RF_SAVED_XMM0);
  s = declared("double _Complex f()");
  cr_assert(s.result_place.part[0] == RF_SAVED_XMM0 && s.result_place.part[1] == RF_SAVED_XMM1);
}

Test(declarations, say_what_is_wrong) {
  struct rf_signature s;
  static const char *const wrong[][2] = {
      {"int f(FILE x)", "size of 'FILE'"}, {"int f", "declaration such as"},     {"int f(int x", "')'"},
      {"int f(void x)", "void"},           {"int f(struct { int x } y)", "';'"}, {"", "type is expected"}};
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    cr_assert(!rf_signature_parse(wrong[i][0], &pool, &s, error, sizeof error), "%s", wrong[i][0]);
    cr_assert(strstr(error, wrong[i][1]), "%s: %s", wrong[i][0], error);
  }
}

/* ---- automata, against libc's ---- */

Test(automata, agree_with_regexec) {
  static const char alphabet[] = "ab()|*+?.[]{}12,-^$";
  srand(7);
  size_t compared = 0;
  for (int round = 0; round < 6000; round++) {
    char expression[16], text[10];
    regex_t theirs;
    size_t n = 1 + (size_t)rand() % 9;
    for (size_t i = 0; i < n; i++) expression[i] = alphabet[(size_t)rand() % (sizeof alphabet - 1)];
    expression[n] = '\0';
    if (strstr(expression, "$^")) continue; /* an end before a beginning: libc lets the empty text match */
    struct rf_automaton *ours = rf_automaton_new(expression, error, sizeof error);
    if (!ours) continue;
    bool known = regcomp(&theirs, expression, REG_EXTENDED | REG_NOSUB) == 0;
    for (int k = 0; known && k < 30; k++, compared++) {
      size_t length = (size_t)rand() % 8;
      for (size_t i = 0; i < length; i++) text[i] = "ab12-"[rand() % 5];
      text[length] = '\0';
      uint32_t state = rf_automaton_feed(ours, rf_automaton_start(ours), text, length);
      cr_assert_eq(rf_automaton_matches_here(ours, state), regexec(&theirs, text, 0, NULL, 0) == 0,
                   "/%s/ on '%s'", expression, text);
    }
    if (known) regfree(&theirs);
    rf_automaton_free(ours);
  }
  cr_assert_gt(compared, 5000);
}
