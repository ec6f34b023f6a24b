/* The config file's syntax: what is read, line by line, and everything that YAML would have read as something
 * else. */
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/config.h"
#include "base/memory.h"
#include "base/recover.h"

static char seen[1 << 20];
static size_t length;

static void add(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void add(const char *format, ...) {
  va_list arguments;
  va_start(arguments, format);
  int n = vsnprintf(seen + length, sizeof seen - length, format, arguments);
  va_end(arguments);
  length = length + (size_t)n < sizeof seen ? length + (size_t)n : sizeof seen - 1;
}

/* "LINE path = text" or "LINE path = [text@LINE text@LINE]" or "LINE path" without value. */
static void note_value(void *user, const char *const *path, size_t depth,
                       const struct rf_config_value *value) {
  (void)user;
  cr_assert(depth >= 1 && depth <= RF_CONFIG_DEPTH);
  add("%u ", value->line);
  for (size_t i = 0; i < depth; i++) add("%s%s", i ? "/" : "", path[i]);
  if (value->list)
    add(" = [");
  else if (value->count)
    add(" = ");
  for (size_t i = 0; i < value->count; i++) {
    const struct rf_config_item *item = &value->items[i];
    if (value->list)
      add("%s%s@%u", i ? " " : "", item->text, item->line);
    else
      add("%s", item->text);
    if (item->behind) add("{%s}", item->behind);
  }
  add(value->list ? "]\n" : "\n");
}

static void note_problem(void *user, unsigned line, const char *key, const char *message) {
  (void)user;
  add("!%u %s: %s\n", line, key, message);
}

static const struct rf_config_handler handler = {NULL, note_value, note_problem};

static const char *parse(const char *text) {
  length = 0;
  seen[0] = 0;
  rf_config_parse(text, strlen(text), &handler);
  return seen;
}

#define READS(text, expected) cr_assert_str_eq(parse(text), expected, "%s\nread as\n%s", text, seen)
/* Part of a problem; what is good around it is read. */
#define SAYS(text, part)                                                                                     \
  do {                                                                                                       \
    char around[4096];                                                                                       \
    snprintf(around, sizeof around, "before: 1\n%s\nbehind: 2\n", text);                                     \
    parse(around);                                                                                           \
    cr_assert(strstr(seen, part), "%s\nread as\n%s", text, seen);                                            \
    cr_assert(strncmp(seen, "!2 ", 3) == 0 || strstr(seen, "\n!2 "), "line 2: %s", seen);                    \
    cr_assert(strstr(seen, "1 before = 1\n") && strstr(seen, " behind = 2\n"), "the rest holds: %s", seen);  \
  } while (0)

Test(config, nested_and_dotted_keys_are_paths) {
  READS("a: 1\nb:\n  c: 2\n  d.e: 3\nf.g: 4\nh: {i: {j: 5}, k: 6}\n",
        "1 a = 1\n3 b/c = 2\n4 b/d.e = 3\n5 f.g = 4\n6 h/i/j = 5\n6 h/k = 6\n");
}

Test(config, values_stay_what_is_written) {
  READS("a: on\nb: 0x10\nc: ~\nd: null\ne: 1e3\nf: 'it''s'\ng: \"t\\tb\"\nh: a  b\ni: 5%\nj: -1\n",
        "1 a = on\n2 b = 0x10\n3 c = ~\n4 d = null\n5 e = 1e3\n6 f = it's\n7 g = t\tb\n8 h = a  b\n9 i = "
        "5%\n10 j = "
        "-1\n");
}

Test(config, patterns_and_rules_need_no_quotes_where_yaml_allows_it) {
  READS("t:\n- ns::f(int)\n- libssl.so*!SSL_*\n- /^x[sd]$/\n- std::map<int, X>::find\n- operator<\n- ~A\n- "
        "f?\n- a.b->c\n",
        "1 t = [ns::f(int)@2 libssl.so*!SSL_*@3 /^x[sd]$/@4 std::map<int, X>::find@5 operator<@6 ~A@7 f?@8 "
        "a.b->c@9]\n");
  READS("r: == 0\ns: in {1, 2, 4}\nt: < 5\nu: not null; finite\nv: length rows * cols\nx[0]: in 0..1\ny: "
        "matches /a/\n",
        "1 r = == 0\n2 s = in {1, 2, 4}\n3 t = < 5\n4 u = not null; finite\n5 v = length rows * cols\n6 x[0] "
        "= in "
        "0..1\n7 y = matches /a/\n");
  READS("s: {b: submit(key=arg1), e: {f: g, when: result > 0}}\n",
        "1 s/b = submit(key=arg1)\n1 s/e/f = g\n1 s/e/when = result > 0\n");
  READS("r: [not null, < 5, a > 3]\n", "1 r = [not null@1 < 5@1 a > 3@1]\n");
}

Test(config, lists_remember_every_line) {
  READS("a:\n  - x\n\n  # c\n  - y\nb: [z,\n w]\nc: []\n", "1 a = [x@2 y@5]\n6 b = [z@6 w@7]\n8 c = []\n");
}

Test(config, nothing_is_no_value) {
  READS("a:\nb: ''\nc: {}\nd:\n  e:\n", "1 a\n2 b\n3 c\n5 d/e\n");
  READS("", "");
  READS("# nothing\n\n", "");
  READS("---\n", "");
}

Test(config, comments_are_told_from_lost_text) {
  READS("a: x   # a comment\nb: y #\nc: z ## big\nd: p#q\ne: '# no'\nf: x\t# tab\n",
        "1 a = x\n2 b = y\n3 c = z\n4 d = p#q\n5 e = # no\n6 f = x\n");
  READS("a: x #1\nb:\n - \xc3\xa9\xc3\xa9 #2 3\r\n - \xe2\x82\xac #4\n",
        "1 a = x{#1}\n2 b = [\xc3\xa9\xc3\xa9@3{#2 3} "
        "\xe2\x82\xac@4{#4}]\n");
  SAYS("a: /x # y/", "a: '/x' goes on behind ' #'");
  SAYS("a: m!/x # y/", "a: 'm!/x' goes on behind ' #'");
  SAYS("a: matches /x\\/ # y/", "a: 'matches /x\\/' goes on behind ' #'");
  SAYS("a: in {1, # 2}", "a: 'in {1,' goes on behind ' #'");
  SAYS("a: f(int # 2)", "a: 'f(int' goes on behind ' #'");
  READS("a: matches /x/ # fine\nb: in {1} # fine\nc: a < b # fine\nd: operator<< # fine\n",
        "1 a = matches /x/\n2 b = in {1}\n3 c = a < b\n4 d = operator<<\n");
}

Test(config, signs_that_yaml_takes_for_itself_are_errors) {
  SAYS("a: > 0", "a: text that begins with '>' must be quoted: '> 0'");
  SAYS("a: >= 0", "a: text that begins with '>' must be quoted: '>= 0'");
  SAYS("a: >", "a: block text");
  SAYS("a: >1", "a: block text");
  SAYS("a: |2", "a: block text");
  SAYS("a: != 0", "a: YAML takes '!=' for a tag; quote the whole text: '!= 0'");
  SAYS("a: !x [b]", "a: YAML takes '!x' for a tag");
  SAYS("a: !x {b: c}", "a: YAML takes '!x' for a tag");
  SAYS("a: !!str b", "for a tag");
  SAYS("a: &x b", "a: YAML takes '&x' for an anchor; quote the whole text: '&x b'");
  SAYS("a: &x [b]", "a: YAML takes '&x' for an anchor");
  SAYS("a: *x", "a: text that begins with '*' must be quoted: '*x'");
  SAYS("a: *x*", "a: text that begins with '*' must be quoted: '*x*'");
  SAYS("a: *::run", "a: text that begins with '*' must be quoted: '*::run'");
  SAYS("*x: 1", "text that begins with '*' must be quoted: '*x'");
  SAYS("*x*: 1", "text that begins with '*' must be quoted: '*x*'");
  SAYS("a: @x", "a: text that begins with '@' must be quoted");
  SAYS("a: `x`", "a: text that begins with '`' must be quoted");
  SAYS("a: %x", "a: text that begins with '%' must be quoted");
  SAYS("a: b: c", "quote text that has ': ' in it");
  SAYS("a: \"\\d\"", "a: not valid YAML: found unknown escape character");
  SAYS("a: \"b", "a: not valid YAML: found unexpected end of stream");
  SAYS("a: [b", "a: not valid YAML: what [ or { opens is not closed");
}

Test(config, a_bad_element_costs_only_itself) {
  READS("a:\n  - x\n  - *y*\n  - z\n  - &b w\n  - [u, v]\n  - k: l\n  - t\n",
        "!3 : text that begins with '*' must be quoted: '*y*'\n"
        "!5 a: YAML takes '&b' for an anchor; quote the whole text: '&b w'\n"
        "!6 a: an element of the list must be plain text; quote it if it has ': ' in it\n"
        "!7 a: an element of the list must be plain text; quote it if it has ': ' in it\n"
        "1 a = [x@2 z@4 t@8]\n");
}

Test(config, one_broken_thing_is_one_complaint) {
  READS("a: [b,\n  c: {,\n  d\nz: 1\ny: 2\n",
        "!2 c: not valid YAML: did not find expected node content\n4 z = 1\n5 y = 2\n");
  READS("a: [b,\n  c\nz: 1\ny: 2\n",
        "!1 a: not valid YAML: what [ or { opens is not closed\n3 z = 1\n4 y = 2\n");
  READS("a:\n  - [b,\n     c\n  - d\ny: 2\n",
        "!2 : not valid YAML: what [ or { opens is not closed\n1 a = [d@4]\n5 y = 2\n");
  READS("*a*:\n  b: 1\n  c:\n    d: 2\n\n  e: 1\nf: 2\n",
        "!1 : text that begins with '*' must be quoted: '*a*'\n7 f = 2\n");
  READS("a: 'b\nc: d\n", "!1 a: not valid YAML: found unexpected end of stream\n2 c = d\n");
}

Test(config, duplicate_keys_are_errors_however_they_are_written) {
  READS("a: 1\nb: 2\na: 3\n",
        "1 a = 1\n2 b = 2\n!3 a: the key is there twice, first in line 1, which holds\n");
  READS("h.m: 1\nh:\n  m: 2\n  n: 3\n",
        "1 h.m = 1\n!3 h.m: the key is there twice, first in line 1, which holds\n4 h/n = 3\n");
  READS("h: {x: 1}\nh:\n  y: 2\nz: 1\n",
        "1 h/x = 1\n!2 h: the key is there twice, first in line 1, which holds\n4 z = 1\n");
  READS("h: {x: 1}\ng: {x: 1}\n", "1 h/x = 1\n2 g/x = 1\n");
}

Test(config, flow_commas_that_tear_text_are_errors) {
  SAYS("a: [std::map<int, X>::find, ok]", "'std::map<int' and 'X>::find'; quote it if they are one");
  cr_assert(strstr(seen, "2 a = [ok@2]"), "%s", seen);
  SAYS("a: [f(int, int, char), ok]", "'f(int' and 'char)'");
  cr_assert(strstr(seen, "2 a = [ok@2]"), "%s", seen);
  SAYS("a: { b: f(int, char)(key=arg1), e: g }", "'f(int' and 'char)(key=arg1)'");
  cr_assert(strstr(seen, "2 a/e = g\n") && !strstr(seen, "a/b"), "%s", seen);
  SAYS("a: { b: in {1, 2} }", "not valid YAML");
}

Test(config, what_is_not_a_map_is_said) {
  const char *must = "!1 : the file must consist of keys with values, such as 'preset: full'\n";
  READS("hello\n", must);
  READS("- a\n- b\n", must);
  READS("[a: b]\n", must);
  SAYS("[a]: b", "a key must be plain text");
  SAYS("{a: b}: c", "a key must be plain text");
  READS("a: 1\n---\nb: 2\n", "1 a = 1\n!2 : a second document ('---') is not read\n");
  READS("---\na: 1\n...\n", "2 a = 1\n");
}

Test(config, nesting_ends) {
  READS("a: {b: {c: {d: {e: {f: {g: {h: 1}}}}}}}\n", "1 a/b/c/d/e/f/g/h = 1\n");
  SAYS("a: {b: {c: {d: {e: {f: {g: {h: {i: 1}}}}}}}}", "a.b.c.d.e.f.g.h: nested too deeply");
  char deep[4000] = "a: ";
  memset(deep + 3, '[', 1000);
  SAYS(deep, "a: not valid YAML: nested too deeply");
}

Test(config, line_ends_and_marks_of_other_systems) {
  READS("\xef\xbb\xbf"
        "a: 1\r\nb: 2\r\n\r\nc: *x*\r\nd: 4\r\n",
        "!4 c: text that begins with '*' must be quoted: '*x*'\n1 a = 1\n2 b = 2\n5 d = 4\n");
  READS("a: 1\rb: *x*\rc: 3\r", "!2 b: text that begins with '*' must be quoted: '*x*'\n1 a = 1\n3 c = 3\n");
  READS("a: x\xc2\x85y\nb: *x*\nc: 3\n",
        "!2 b: text that begins with '*' must be quoted: '*x*'\n1 a = x  y\n3 c = 3\n");
}

Test(config, nul_and_noise_cost_their_line) {
  static const char text[] = "a: 1\nb: x\0y\nc: \x80\nd: 4\ne: \"a\\0b\"\n";
  length = 0;
  rf_config_parse(text, sizeof text - 1, &handler);
  cr_assert_str_eq(seen, "!2 b: not valid YAML: control characters are not allowed\n"
                         "!3 c: not valid YAML: invalid leading UTF-8 octet\n"
                         "1 a = 1\n4 d = 4\n!5 e: there is a NUL character in the text\n");
}

Test(config, noise_of_every_kind_survives, .timeout = 60) {
  static char noise[20000];
  static const char usual[] = "a: b\n- {}[],#&*!|>'\"%@`\\ \t\r\n:?~<=.0";
  unsigned seed = 1;
  for (int round = 0; round < 3000; round++) {
    size_t n = (size_t)rand_r(&seed) % 2000;
    for (size_t i = 0; i < n; i++)
      noise[i] =
          rand_r(&seed) % 50 == 0 ? (char)rand_r(&seed) : usual[(size_t)rand_r(&seed) % (sizeof usual - 1)];
    length = 0;
    rf_config_parse(noise, n, &handler);
    size_t problems = 0;
    for (const char *at = seen; (at = strstr(at, "\n!")); at++) problems++;
    cr_assert_leq(problems, 1500);
  }
}

static void large(const char *head, const char *repeated, size_t bytes) {
  char *text = malloc(bytes + 1);
  size_t n = strlen(head), unit = strlen(repeated);
  memcpy(text, head, n);
  while (n + unit <= bytes) {
    memcpy(text + n, repeated, unit);
    n += unit;
  }
  length = 0;
  rf_config_parse(text, n, &handler);
  free(text);
}

Test(config, large_files_take_seconds_at_most, .timeout = 60) {
  static const char *const heads[] = {"a: ", "a:\n", "", "a: \"", "a: [", "t:\n"};
  static const char *const units[] = {"[",  "{a: ", "x",         "- ",       "? ",    "\n",
                                      "\t", "#",    "a: b: c\n", "- *::a\n", "a<b, ", "&a "};
  for (size_t i = 0; i < sizeof heads / sizeof *heads; i++)
    for (size_t j = 0; j < sizeof units / sizeof *units; j++) large(heads[i], units[j], 1 << 20);
}

Test(config, files_of_every_kind) {
  char folder[] = "/tmp/refunc-config-XXXXXX", path[200];
  cr_assert_not_null(mkdtemp(folder));
  cr_assert_eq(rf_config_read("/nonexistent/refunc.yaml", &handler), -ENOENT);
  cr_assert_eq(rf_config_read(folder, &handler), -EISDIR);
  cr_assert_eq(rf_config_read("/dev/zero", &handler), -EINVAL);
  snprintf(path, sizeof path, "%s/pipe", folder);
  mkfifo(path, 0600);
  cr_assert_eq(rf_config_read(path, &handler), -EINVAL, "and doesn't wait for a writer");
  unlink(path);
  snprintf(path, sizeof path, "%s/file", folder);
  int fd = open(path, O_CREAT | O_RDWR, 0600);
  cr_assert_eq(write(fd, "a: 1\nb: 2", 9), 9);
  length = 0;
  cr_assert_eq(rf_config_read(path, &handler), 0);
  cr_assert_str_eq(seen, "1 a = 1\n2 b = 2\n");
  cr_assert_eq(ftruncate(fd, 10 << 20), 0);
  cr_assert_eq(rf_config_read(path, &handler), -EFBIG);
  close(fd);
  unlink(path);
  rmdir(folder);
}

Test(config, memory_comes_back) {
  parse("a: {b: [c, d]}\ne: *f*\n");
  size_t before = rf_memory_bytes();
  for (int i = 0; i < 2000; i++) parse("a: {b: [c, d]}\ne: *f*\ng: &h i\nj: [k<l, m>]\n- x\n\"");
  cr_assert_eq(rf_memory_bytes(), before);
}

static int asserts(int depth) {
  struct rf_recovery recovery;
  volatile int passed = 0;
  if (rf_recover(&recovery) == 0) {
    if (depth > 0) passed = asserts(depth - 1);
    rf_assert_fail("depth > 0", "x.c", 1, "f");
  }
  return passed + 1;
}

Test(config, a_librarys_failed_assertion_comes_back_to_its_caller) { cr_assert_eq(asserts(5), 6); }
