/* Patterns: what they choose (against a table written from the contract), what they refuse, how fast they
 * are. */
#include <criterion/criterion.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "elf/demangle.h"
#include "elf/edits.h"
#include "elf/pattern.h"

static int matches(const char *pattern, const char *module, const char *symbol) {
  char error[512];
  struct rf_pattern_set *set = rf_pattern_set_new();
  cr_assert_eq(rf_pattern_add(set, pattern, error, sizeof error), 0, "%s: %s", pattern, error);
  int index = rf_pattern_match(set, module, symbol);
  rf_pattern_set_free(set);
  return index == 0;
}

static const struct {
  const char *pattern, *symbol;
  int expected;
} table[] = {
    /* C names */
    {"train_epoch", "train_epoch", 1},
    {"train_epoch", "train_epochs", 0},
    {"train_epoch", "xtrain_epoch", 0},
    {"train", "train_epoch", 0},
    {"  train  ", "train", 1},
    {"predict_*", "predict_proba", 1},
    {"predict_*", "predict_", 1},
    {"predict_*", "predict", 0},
    {"*_step", "sgd_step", 1},
    {"*_step", "sgd_step_2", 0},
    {"*", "anything", 1},
    {"?", "f", 1},
    {"?", "ff", 0},
    {"f??", "foo", 1},
    {"*a*a*a*", "banana", 1},
    {"*a*a*a*a*", "banana", 0},
    {"f[ab]", "fa", 0}, /* brackets are no wildcards */
    /* regular expressions search anywhere */
    {"/^cblas_[sd]gemm$/", "cblas_sgemm", 1},
    {"/^cblas_[sd]gemm$/", "cblas_cgemm", 0},
    {"/gemm/", "cblas_sgemm_batch", 1},
    {"/^(get|set)_value$/", "set_value", 1},
    {"/^(get|set)_value$/", "let_value", 0},
    {"/get|set/", "reset", 1},
    {"/a{2}b/", "xaab", 1},
    {"/ab?c+/", "acc", 1},
    {"/^.$/", "f", 1},
    {"/[[:digit:]]+$/", "f12", 1},
    {"/f\\.c/", "f.c", 1},
    {"/f\\.c/", "fxc", 0},
    /* clones belong to their source's name */
    {"f", "f.constprop.0", 1},
    {"f", "f.isra.1", 1},
    {"f", "f.part.2.isra.3", 1},
    {"f", "f.lto_priv.4", 1},
    {"f", "f.cold", 1},
    {"f", "f.llvm.1234567", 1},
    {"f", "f.avx2", 1},
    {"f", "g.constprop.0", 0},
    {"f", "f.other", 0},
    {"inner", "inner.0", 1},
    {"f.constprop.0", "f.constprop.0", 1},
    {"f.constprop.0", "f.constprop.1", 0},
    {"/^f$/", "f.constprop.0", 1},
    {"*.isra.*", "f.isra.0", 1},
    {"ns::f", "_ZN2ns1fEv.constprop.0", 1},
    {"ns::f(int)", "_ZN2ns1fEi.isra.0.cold", 1},
    /* C++: every overload, one overload */
    {"ns::f", "_ZN2ns1fEi", 1},
    {"ns::f", "_ZN2ns1fEPKcd", 1},
    {"ns::f", "_ZNK2ns1fEv", 1},
    {"::ns::f", "_ZN2ns1fEi", 1},
    {"f", "_ZN2ns1fEi", 0},
    {"ns::g", "_ZN2ns1fEi", 0},
    {"ns", "_ZN2ns1fEi", 0},
    {"f", "_Z1fi", 1},
    {"f", "_ZL1fi", 1},
    {"ns::f(int)", "_ZN2ns1fEi", 1},
    {"ns::f(int)", "_ZN2ns1fEl", 0},
    {"ns::f(int)", "_ZNK2ns1fEi", 1},
    {"ns::f(int) const", "_ZNK2ns1fEi", 1},
    {"ns::f(int) const", "_ZN2ns1fEi", 0},
    {"ns::f()", "_ZN2ns1fEv", 1},
    {"ns::f(void)", "_ZN2ns1fEv", 1},
    {"ns::f(int,long)", "_ZN2ns1fEil", 1},
    {"ns::f(int, long)", "_ZN2ns1fEil", 1},
    {"f(char const&)", "_Z1fRKc", 1},
    {"f(const char&)", "_Z1fRKc", 1},
    {"f(int, const ns::A &)", "_Z1fiRKN2ns1AE", 1},
    {"f(const char*)", "_Z1fPKc", 1}, /* a glob by its star */
    {"f(std::string)", "_Z1fSs", 1},
    {"f(std::string const&)", "_Z1fRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", 1},
    {"f(const std::string&)", "_Z1fRKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE", 1},
    {"std::list<int>::f", "_ZNSt7__cxx114listIiE1fEv", 1},
    /* templates */
    {"ns::f", "_ZN2ns1fIiEEvT_", 1},
    {"ns::f<int>", "_ZN2ns1fIiEEvT_", 1},
    {"ns::f<long>", "_ZN2ns1fIiEEvT_", 0},
    {"ns::f(int)", "_ZN2ns1fIiEEvT_", 1},
    {"ns::f<int>(int)", "_ZN2ns1fIiEEvT_", 1},
    {"ns::A<int>::f", "_ZN2ns1AIiE1fIdEEvv", 1},
    {"ns::A::f", "_ZN2ns1AIiE1fIdEEvv", 1},
    {"ns::A<long>::f", "_ZN2ns1AIiE1fIdEEvv", 0},
    {"std::map<int, X>::find", "_ZNSt3mapIi1XE4findERKi", 1},
    {"std::map<int,X>::find", "_ZNSt3mapIi1XE4findERKi", 1},
    {"std::vector<A<int> >::g", "_ZNSt6vectorI1AIiEE1gEv", 1},
    {"std::vector<A<int>>::g", "_ZNSt6vectorI1AIiEE1gEv", 1},
    {"A::f", "_ZN1A1fIXgtLi1ELi2EEEEvv", 1},
    /* constructors and destructors in all their forms */
    {"ns::A::A", "_ZN2ns1AC1Ev", 1},
    {"ns::A::A", "_ZN2ns1AC2Ei", 1},
    {"ns::A::~A", "_ZN2ns1AD0Ev", 1},
    {"ns::A::~A", "_ZN2ns1AD1Ev", 1},
    {"ns::A::~A", "_ZN2ns1AD2Ev", 1},
    {"ns::A::~A()", "_ZN2ns1AD2Ev", 1},
    {"ns::A::A", "_ZN2ns1AD2Ev", 0},
    {"ns::A::A", "_ZN2ns1AIiEC2Ev", 1},
    {"std::string::basic_string", "_ZNSsC1Ev", 1},
    /* operators */
    {"operator<<", "_ZlsRSoi", 1},
    {"operator<", "_ZlsRSoi", 0},
    {"operator<", "_ZltRK1AS1_", 1},
    {"A::operator<", "_ZN1AltIiEEbT_", 1},
    {"A::operator< <int>", "_ZN1AltIiEEbT_", 1},
    {"A::operator*", "_ZN1AdeEv", 1},
    {"A::operator*", "_ZN1AplEv", 0},
    {"A::operator->*", "_ZN1ApmEv", 1},
    {"A::operator*=", "_ZN1AmLEi", 1},
    {"*::operator*", "_ZN1AdeEv", 1},
    {"*::operator*", "_ZN1AplEv", 0},
    {"A::operator+*", "_ZN1AplEv", 1},
    {"A::operator+*", "_ZN1ApLEi", 1},
    {"A::operator()", "_ZN1AclEi", 1},
    {"A::operator()(int)", "_ZN1AclEi", 1},
    {"A::operator()(long)", "_ZN1AclEi", 0},
    {"A::operator[]", "_ZN1AixEi", 1},
    {"A::operator!", "_ZN1AntEv", 1},
    {"A::operator!=", "_ZN1AneEi", 1},
    {"operator!=", "_ZneRK1AS1_", 1},
    {"A::operator new", "_ZN1AnwEm", 1},
    {"operator new", "_Znwm", 1},
    {"operator new[]", "_Znam", 1},
    {"operator delete", "_ZdlPv", 1},
    {"A::operator bool", "_ZN1AcvbEv", 1},
    {"A::operator std::vector<int, std::allocator<int>>", "_ZN1AcvSt6vectorIiSaIiEEEv", 1},
    /* ABI tags */
    {"A::f", "_ZN1A1fB5cxx11Ev", 1},
    {"A::f()", "_ZN1A1fB5cxx11Ev", 1},
    {"A::f[abi:cxx11]", "_ZN1A1fB5cxx11Ev", 1},
    {"A::f[abi:cxx11]", "_ZN1A1fEv", 0},
    {"/^A::f$/", "_ZN1A1fB5cxx11Ev", 1},
    {"/abi:cxx11/", "_ZN1A1fB5cxx11Ev", 1},
    /* local and anonymous names */
    {"(anonymous namespace)::f", "_ZN12_GLOBAL__N_11fEv", 1},
    {"(anonymous namespace)::f", "_ZN12_GLOBAL__N_11fEi", 1},
    {"(anonymous namespace)::f(int)", "_ZN12_GLOBAL__N_11fEi", 1},
    {"(anonymous namespace)::f(int)", "_ZN12_GLOBAL__N_11fEv", 0},
    {"(anonymous namespace)::*", "_ZN12_GLOBAL__N_11fEi", 1},
    {"*::f", "_ZN12_GLOBAL__N_11fEi", 1},
    {"ns::(anonymous namespace)::f*", "_ZN2ns12_GLOBAL__N_11fEi", 1},
    {"A::f(int)::{lambda(int)#1}::operator()", "_ZZN1A1fEiENKUliE_clEi", 1},
    {"A::f*operator()", "_ZZN1A1fEiENKUliE_clEi", 1},
    /* globs on C++ names: without parameters unless they contain ( */
    {"ns::*", "_ZN2ns1fEi", 1},
    {"ns::*", "_ZN3nsx1fEi", 0},
    {"*::run", "_ZN2ns8Pipeline3runEiPKc", 1},
    {"*::run", "_ZN2ns8Pipeline3runIiEEvT_", 1},
    {"*::run", "_ZN2ns8Pipeline4runsEv", 0},
    {"ns::Pipe*::run", "_ZN2ns8Pipeline3runEv", 1},
    {"*int*", "_ZN2ns1fEi", 0},
    {"*(int)", "_ZN2ns1fEi", 1},
    {"*(int*)", "_ZN2ns1fEil", 1},
    {"ns::f(*)", "_ZNK2ns1fEil", 1},
    {"*pipe*", "_ZN2ns8Pipeline3runEv", 0},
    {"*ipeli*", "_ZN2ns8Pipeline3runEv", 1},
    {"n?::f", "_ZN2ns1fEi", 1},
    {"std::*", "_ZNSt6vectorIiE4pushEi", 1},
    {"std::string::app*", "_ZNSs6appendEPKc", 1},
    {"*string::app*", "_ZNSs6appendEPKc", 1},
    {"*allocator*", "_ZNSt6vectorIiSaIiEE4pushEi", 1},
    {"*operator*=", "_ZN1AmLEi", 1},
    {"f*", "_Z3fooi", 1},
    {"f*", "_Z3gooi", 0},
    {"do*", "_Z2doi", 1},
    {"*unsigned*", "_Z1fIjEvT_", 1},
    {"*10ul*", "_Z1fILm10EEvv", 1},
    {"*ul>*", "_Z1fILm10EEvv", 1},
    /* expressions on C++ names */
    {"/^ns::Pipeline::run$/", "_ZN2ns8Pipeline3runEi", 1},
    {"/^ns::(Pipeline|Graph)::run$/", "_ZN2ns8Pipeline3runEi", 1},
    {"/run\\(int\\)$/", "_ZN2ns8Pipeline3runEi", 1},
    {"/run\\(int\\)$/", "_ZN2ns8Pipeline3runEl", 0},
    {"/int/", "_ZN2ns8Pipeline3runEi", 0},
    {"/\\(.*int/", "_ZN2ns8Pipeline3runEli", 1},
    {"/^\\(anonymous namespace\\)::f$/", "_ZN12_GLOBAL__N_11fEi", 1},
    {"/operator\\(\\)$/", "_ZN1AclEi", 1},
    {"/Pipe|Graph/", "_ZN2ns5Graph3runEi", 1},
    {"/^std::/", "_ZNSt6vectorIiE4pushEi", 1},
    /* the return type is left out */
    {"ns::f<int>", "_ZN2ns1fIiEEiT_", 1},
    {"int*", "_ZN2ns1fIiEEiT_", 0},
    /* mangled names as they are */
    {"_ZN2ns1fEi", "_ZN2ns1fEi", 1},
    {"_ZN2ns*", "_ZN2ns1fEi", 1},
    {"/^_ZN2ns/", "_ZN2ns1fEi", 1},
    {"_Rotate_left", "_Rotate_left", 1},
    {"_Rot*", "_Rotate_left", 1},
    {"*otate_*", "_Rotate_left", 1},
    {"/otate/", "_Rotate_left", 1},
    /* Rust */
    {"core::fmt::Write::write_char", "_ZN4core3fmt5Write10write_char17h0123456789abcdefE", 1},
    {"core::fmt::*", "_ZN4core3fmt5Write10write_char17h0123456789abcdefE", 1},
    {"<alloc::vec::Vec<T> as core::ops::Drop>::drop",
     "_ZN60_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE", 1},
    {"*::drop", "_ZN60_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE",
     1},
    {"*Vec<T>*", "_ZN60_$LT$alloc..vec..Vec$LT$T$GT$$u20$as$u20$core..ops..Drop$GT$4drop17h0123456789abcdefE",
     1},
    {"mycrate::foo", "_RNvCs1234_7mycrate3foo", 1},
    {"mycrate::*", "_RNvCs1234_7mycrate3foo", 1},
    {"mycrate::_foo", "_RNvCs1234_7mycrate4__foo", 1},
    {"*::_foo", "_RNvCs1234_7mycrate4__foo", 1},
    {"mycrate::foo::{closure#0}", "_RNCNvCs1234_7mycrate3foo0", 1},
};

Test(pattern, table) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
    char demangled[512] = "";
    rf_demangle(table[i].symbol, demangled, sizeof demangled);
    cr_expect_eq(matches(table[i].pattern, "app", table[i].symbol), table[i].expected, "%s %s %s (%s)",
                 table[i].pattern, table[i].expected ? "should match" : "should not match", table[i].symbol,
                 demangled);
  }
}

/* The same table as one set: each pattern must hit exactly what it hits alone. */
static void mark(void *user, size_t index) { ((char *)user)[index]++; }

Test(pattern, one_set_agrees_with_single_patterns) {
  enum { COUNT = sizeof table / sizeof *table };
  struct rf_pattern_set *set = rf_pattern_set_new();
  char error[512];
  for (size_t i = 0; i < COUNT; i++)
    cr_assert_eq(rf_pattern_add(set, table[i].pattern, error, sizeof error), (int)i);
  cr_assert_eq(rf_pattern_count(set), (size_t)COUNT);
  for (size_t s = 0; s < COUNT; s += 3) {
    char hits[COUNT] = {0};
    int first = -1;
    rf_pattern_match_all(set, "app", table[s].symbol, mark, hits);
    for (size_t p = 0; p < COUNT; p++) {
      int alone = matches(table[p].pattern, "app", table[s].symbol);
      cr_expect_eq(hits[p], alone, "%s in a set, on %s: %d", table[p].pattern, table[s].symbol, hits[p]);
      if (alone && first < 0) first = (int)p;
    }
    cr_expect_eq(rf_pattern_match(set, "app", table[s].symbol), first);
  }
  rf_pattern_set_free(set);
}

static const struct {
  const char *pattern, *module;
  int expected;
} modules[] = {
    {"f", "libx.so", 1},
    {"libx.so!f", "libx.so", 1},
    {"libx.so!f", "liby.so", 0},
    {"libssl.so*!f", "libssl.so.3", 1},
    {"libssl.so!f", "libssl.so.3", 1},        /* the linker's name of it */
    {"libssl.so.3!f", "libssl.so.3.0.14", 1}, /* ldd's */
    {"libssl.so.3!f", "libssl.so.31", 0},
    {"app!f", "app.so", 0},
    {"l*!f", "libx.so", 1},
    {"l*!/^f$/", "libx.so", 1},
    {"l*!/^f$/", "app", 0},
    {"l*!f*", "app", 0},
    {"?pp!*", "app", 1},
    {"[vdso]!f", "[vdso]", 1},
};

Test(pattern, modules) {
  char error[512];
  for (size_t i = 0; i < sizeof modules / sizeof *modules; i++) {
    struct rf_pattern_set *set = rf_pattern_set_new();
    cr_assert_eq(rf_pattern_add(set, modules[i].pattern, error, sizeof error), 0, "%s", error);
    cr_expect_eq(rf_pattern_wants_module(set, modules[i].module), modules[i].expected, "%s wants %s",
                 modules[i].pattern, modules[i].module);
    cr_expect_eq(rf_pattern_match(set, modules[i].module, "f"), modules[i].expected - 1, "%s in %s",
                 modules[i].pattern, modules[i].module);
    cr_expect_str_eq(rf_pattern_text(set, 0), modules[i].pattern);
    rf_pattern_set_free(set);
  }
}

static const struct {
  const char *pattern, *part_of_error;
} refused[] = {
    {"", "empty"},
    {"   ", "empty"},
    {"/abc", "closing '/'"},
    {"//", "empty regular expression"},
    {"/a(b/", "POSIX extended"},
    {"/a[b/", "POSIX extended"},
    {"/(a)\\1/", "back references"},
    {"/a{30000}{30000}/", "5,000"},
    {"/a++++++++++++++++++++++++++++++++++++++++/", "5,000"},
    {"/((((a{99}){99}){99}){99}/", "5,000"},
    {"libx.so!", "libx.so!*"},
    {"/usr/lib/libx.so!f", "base name: 'libx.so!f'"},
    {"lib/libx.so!f", "base name"},
    {"ns::f(int", "parenthesis"},
    {"a\nb", "control character"},
    {"a\x1b[31m", "control character"},
};

Test(pattern, refuses_with_a_reason) {
  struct rf_pattern_set *set = rf_pattern_set_new();
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
    char error[512] = "";
    cr_expect_eq(rf_pattern_add(set, refused[i].pattern, error, sizeof error), -1, "%s", refused[i].pattern);
    cr_expect(strstr(error, refused[i].part_of_error), "%s: %s", refused[i].pattern, error);
    cr_expect_not(strchr(error, '\n'));
  }
  char deep[402], error[512];
  for (size_t i = 0; i < 200; i++) deep[1 + i] = '(', deep[201 + i] = ')';
  deep[0] = '/', deep[400] = '/', deep[401] = '\0';
  cr_expect_eq(rf_pattern_add(set, deep, error, sizeof error), -1);
  static char long_one[8192];
  memset(long_one, 'a', sizeof long_one - 1);
  cr_expect_eq(rf_pattern_add(set, long_one, error, sizeof error), -1);
  cr_expect_eq(rf_pattern_count(set), 0u);
  cr_expect_eq(rf_pattern_match(set, "app", "a"), -1);
  rf_pattern_set_free(set);
}

Test(pattern, cold_parts_and_base_names) {
  cr_expect(rf_symbol_is_cold("f.cold"));
  cr_expect(rf_symbol_is_cold("f.cold.3"));
  cr_expect(rf_symbol_is_cold("f.part.0.cold"));
  cr_expect(rf_symbol_is_cold("f.warm"));
  cr_expect(rf_symbol_is_cold("_RNvC1f.llvm.7.warm.2"));
  cr_expect(rf_symbol_is_cold("f.__part.1"));
  cr_expect_not(rf_symbol_is_cold("f.warmer"));
  cr_expect_not(rf_symbol_is_cold("warm"));
  cr_expect_not(rf_symbol_is_cold("f"));
  cr_expect_not(rf_symbol_is_cold("f.coldest"));
  cr_expect_not(rf_symbol_is_cold("cold"));
  cr_expect_eq(rf_symbol_base_length("f.constprop.0.isra.1"), 1u);
  cr_expect_eq(rf_symbol_base_length("main.main.func1.2"), strlen("main.main.func1.2"));
  cr_expect_eq(rf_symbol_base_length("f"), 1u);
  cr_expect_eq(rf_symbol_base_length(".hidden"), 7u);
  cr_expect_eq(rf_symbol_base_length(""), 0u);
}

/* ---- Speed ---- */

static char **names;
static size_t name_count;

static void read_names(const char *command) {
  FILE *pipe = popen(command, "r");
  char line[65536];
  while (pipe && fgets(line, sizeof line, pipe)) {
    line[strcspn(line, "\n")] = '\0';
    names = realloc(names, (name_count + 1) * sizeof *names);
    names[name_count++] = strdup(line);
  }
  if (pipe) pclose(pipe);
}

static double seconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* A million symbols of real libraries, half of them C++, against 50 patterns of all kinds. */
Test(pattern, a_million_symbols, .timeout = 60) {
  static const char *const patterns[] = {"train_epoch",
                                         "predict_*",
                                         "libfoo.so*!SSL_*",
                                         "ns::Pipeline::run",
                                         "/^cblas_[sd]gemm$/",
                                         "*_alloc",
                                         "std::map<int, X>::find",
                                         "ns::f(int)",
                                         "sqlite3_prepare*",
                                         "/btree.*cursor/",
                                         "*::reserve",
                                         "std::sort",
                                         "A::operator()",
                                         "ns::Graph::*",
                                         "(anonymous namespace)::parse",
                                         "*parse_json*",
                                         "/^(get|set)_item$/",
                                         "malloc",
                                         "free",
                                         "calloc"};
  struct rf_pattern_set *set = rf_pattern_set_new();
  char error[256], text[64];
  for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
    cr_assert_geq(rf_pattern_add(set, patterns[i], error, sizeof error), 0, "%s", error);
  for (int i = 0; rf_pattern_count(set) < 50; i++) {
    snprintf(text, sizeof text,
             i % 3 == 0   ? "module%d::Class::method"
             : i % 3 == 1 ? "prefix%d_*"
                          : "function_%d",
             i);
    cr_assert_geq(rf_pattern_add(set, text, error, sizeof error), 0);
  }
  read_names(
      "nm -D --defined-only /usr/lib/x86_64-linux-gnu/libstdc++.so.6 /usr/lib/x86_64-linux-gnu/libc.so.6 "
      "/usr/lib/x86_64-linux-gnu/libsqlite3.so.0 /usr/lib/x86_64-linux-gnu/libm.so.6 | "
      "sed -n 's/^[0-9a-f]* [TtWi] \\([^@]*\\).*/\\1/p'");
  cr_assert_gt(name_count, 5000u);
  size_t hits = 0;
  double start = seconds();
  for (size_t i = 0; i < 1000000; i++) hits += rf_pattern_match(set, "app", names[i % name_count]) >= 0;
  double taken = seconds() - start;
  fprintf(stderr, "1,000,000 symbols, 50 patterns: %.2f s of CPU, %zu hits\n", taken, hits);
  cr_expect_gt(hits, 0u);
  cr_expect_lt(taken, 3.0);
  rf_pattern_set_free(set);
}

/* ---- The filter loses nothing ---- */

/* Text as a regular expression that stands for itself. */
static void quote(char *out, const char *text) {
  for (; *text; text++) {
    if (strchr("\\^$.[]|()*+?{}", *text)) *out++ = '\\';
    *out++ = *text;
  }
  *out = '\0';
}

static int is_usable(const char *piece) {
  return *piece && !strpbrk(piece, "*?!") && piece[0] != '/' && piece[0] != ' ' &&
         piece[strlen(piece) - 1] != ' ';
}

/* Whether a piece of name cuts through __cxx11, which patterns and names may both leave out. */
static int cuts_namespace(const char *name, size_t from, size_t to) {
  for (const char *at = name; (at = strstr(at, "__cxx11::")); at++) {
    size_t begin = (size_t)(at - name) - 1, end = begin + 10;
    if (from < end && to > begin && !(from <= begin && to >= end)) return 1;
  }
  return 0;
}

/* Whatever piece of a function's name a pattern is made of, it matches the function. */
Test(pattern, pieces_of_real_names_match, .timeout = 120) {
  read_names(
      "for f in libstdc++.so.6 libclang-cpp.so.14 libLLVM-14.so.1; do "
      "nm -D --defined-only /usr/lib/x86_64-linux-gnu/$f 2>/dev/null | "
      "sed -n 's/^[0-9a-f]* [TtWi] \\(_Z[^@]*\\).*/\\1/p' | shuf -n 3000 --random-source=/bin/sh; done");
  cr_assert_geq(name_count, 3000u);
  srand(7);
  static char name[65536], pattern[200000], piece[65536];
  size_t tried = 0;
  for (size_t i = 0; i < name_count; i++) {
    char demangled[4000];
    size_t length = rf_demangle(names[i], demangled, sizeof demangled);
    if (length == 0 || strstr(demangled, "[abi:")) continue;
    size_t from = (size_t)rand() % length, bytes = 1 + (size_t)rand() % (length - from);
    if (rand() % 2 && bytes > 12) bytes = 1 + bytes % 12;
    snprintf(piece, sizeof piece, "%.*s", (int)bytes, demangled + from);
    if (!is_usable(piece) || cuts_namespace(demangled, from, from + bytes) || strlen(piece) > 1000) continue;
    snprintf(pattern, sizeof pattern, "*%s*(*", piece); /* with parameters; the piece may lie in them */
    snprintf(name, sizeof name, "%s", demangled);
    if (strstr(piece, "operator")) continue;
    if (strchr(demangled + from + bytes, '('))
      cr_expect(matches(pattern, "app", names[i]), "%s on %s", pattern, demangled);
    piece[0] = '(';
    quote(name, demangled + from);
    snprintf(pattern, sizeof pattern, "/(|x)%s$/", name);
    if (strchr(demangled + from, '(') && strlen(pattern) < 4000)
      cr_expect(matches(pattern, "app", names[i]), "%s on %s", pattern, demangled);
    if (!strpbrk(demangled, "*?!") && length < 4000)
      cr_expect(matches(demangled, "app", names[i]), "%s on itself (%s)", demangled, names[i]);
    tried++;
  }
  cr_expect_gt(tried, 1500u);
}

/* ---- Nearest names ---- */

static const char *nearest_of(const char *pattern) {
  static const char *const program[] = {"train_epoch",
                                        "train_epoch.constprop.0",
                                        "predict_proba",
                                        "predict_class",
                                        "main",
                                        "sqlite3_exec",
                                        "usage",
                                        "_ZN2ns8Pipeline3runEi",
                                        "_ZN2ns8Pipeline3runEl",
                                        "_ZN2ns8Pipeline4stopEv",
                                        "_ZN2ns8PipelineC1Ev",
                                        "_ZNSsC1Ev",
                                        "cblas_dgemm",
                                        "read_header.cold"};
  static char result[1024];
  struct rf_nearest_names *nearest = rf_nearest_names_new(pattern);
  for (size_t i = 0; i < sizeof program / sizeof *program; i++) rf_nearest_names_feed(nearest, program[i]);
  snprintf(result, sizeof result, "%s", rf_nearest_names_result(nearest));
  rf_nearest_names_free(nearest);
  return result;
}

Test(pattern, nearest_names) {
  cr_expect_str_eq(nearest_of("train_epochs"), "train_epoch");
  cr_expect_str_eq(nearest_of("Train_Epoch"), "train_epoch");
  cr_expect_str_eq(nearest_of("app!tran_epoch"), "train_epoch");
  cr_expect_str_eq(nearest_of("run"), "ns::Pipeline::run");
  cr_expect_str_eq(nearest_of("Pipeline::run"), "ns::Pipeline::run");
  cr_expect_str_eq(nearest_of("ns::pipeline::run"), "ns::Pipeline::run");
  cr_expect_str_eq(nearest_of("ns::Pipeline::rum"), "ns::Pipeline::run");
  cr_expect_str_eq(nearest_of("ns::Pipeline::run(char)"), "ns::Pipeline::run(int)\nns::Pipeline::run(long)");
  cr_expect_str_eq(nearest_of("predct_*"), "predict_proba\npredict_class");
  cr_expect_str_eq(nearest_of("predict_prob"), "predict_proba");
  cr_expect_str_eq(nearest_of("predict"), "predict_proba\npredict_class");
  cr_expect_str_eq(nearest_of("/^cblas_xgemm$/"), "cblas_dgemm");
  cr_expect_str_eq(nearest_of("something_else_entirely"), "");
  cr_expect_str_eq(nearest_of("x"), "");
  cr_expect_str_eq(nearest_of("read_headr"), "");
  cr_expect_str_eq(nearest_of("/("), "");
}

/* ---- Many near names at once ---- */

/* The table of distances itself, row by row. */
static int distance(const char *target, size_t length, const char *text, size_t text_length, bool open_start,
                    bool open_end) {
  int row[512], best;
  for (size_t t = 0; t <= text_length; t++) row[t] = open_start ? 0 : (int)t;
  for (size_t i = 1; i <= length; i++) {
    int diagonal = row[0];
    row[0] = (int)i;
    for (size_t t = 1; t <= text_length; t++) {
      int above = row[t], value = diagonal + (tolower(target[i - 1]) != tolower(text[t - 1]));
      if (above + 1 < value) value = above + 1;
      if (row[t - 1] + 1 < value) value = row[t - 1] + 1;
      row[t] = value;
      diagonal = above;
    }
  }
  best = row[text_length];
  for (size_t t = 0; open_end && t < text_length; t++)
    if (row[t] < best) best = row[t];
  return best;
}

static size_t draw_text(char *text, size_t most) {
  size_t length = (size_t)rand() % most + 1;
  for (size_t i = 0; i < length; i++) text[i] = "abcABC_:12"[rand() % 10];
  return length;
}

Test(pattern, edits_as_the_table_has_them) {
  srand(1);
  for (int i = 0; i < 20000; i++) {
    char target[64], text[200];
    size_t length = draw_text(target, 64), text_length = draw_text(text, 200);
    for (size_t k = 0; k < length; k++) target[k] = (char)tolower(target[k]);
    static struct rf_edits edits;
    rf_edits_prepare(&edits, target, length, i & 1, i & 2);
    int exact = distance(target, length, text, text_length, i & 1, i & 2);
    cr_assert_eq(rf_edits_to(&edits, text, text_length), exact, "%.*s, %.*s", (int)length, target,
                 (int)text_length, text);
  }
}

/* A name as somebody might mistype it: as pattern, as glob, as expression. */
static void mistype(char *out, size_t size, const char *name) {
  char text[300];
  size_t length = rf_demangle(name, text, sizeof text);
  if (!length) length = (size_t)snprintf(text, sizeof text, "%.200s", name);
  char *parameters = memchr(text, '(', length);
  if (parameters && rand() % 3) *parameters = '\0';
  size_t left = strcspn(text, "*?!/ ");
  text[left] = '\0';
  for (int edits = rand() % 3; edits >= 0 && left > 3; edits--) {
    size_t at = (size_t)rand() % left;
    if (rand() % 2)
      text[at] = (char)('a' + rand() % 26);
    else
      memmove(text + at, text + at + 1, left-- - at);
  }
  static const char *const forms[] = {"%s", "%s", "*%s", "%s*", "*%sx?", "/%s$/", "/^(%s|unlikely_name)_/"};
  snprintf(out, size, forms[rand() % 7], text);
}

static void read_real_names(void) {
  read_names(
      "nm -D --defined-only /usr/lib/x86_64-linux-gnu/libstdc++.so.6 /usr/lib/x86_64-linux-gnu/libc.so.6 "
      "/usr/bin/python3 | sed -n 's/^[0-9a-f]* [TtWi] \\([^@]*\\).*/\\1/p'");
  cr_assert_gt(name_count, 7000u);
}

/* What many find together is what each finds alone, looking at every name. */
Test(pattern, nearest_names_of_many_at_once, .timeout = 120) {
  enum { MANY = 150 };
  struct rf_nearest_names *together[MANY], *alone[MANY];
  char pattern[MANY][512];
  size_t found = 0;
  read_real_names();
  srand(2);
  for (size_t i = 0; i < MANY; i++) {
    mistype(pattern[i], sizeof pattern[i], names[(size_t)rand() % name_count]);
    together[i] = i % 17 == 3 ? NULL : rf_nearest_names_new(pattern[i]);
    alone[i] = rf_nearest_names_new(pattern[i]);
  }
  struct rf_nearest_search *search = rf_nearest_search_new(together, MANY);
  for (size_t n = 0; n < name_count; n++) {
    rf_nearest_search_feed(search, names[n]);
    for (size_t i = 0; i < MANY; i++) rf_nearest_names_feed(alone[i], names[n]);
  }
  for (size_t i = 0; i < MANY; i++) {
    if (!together[i]) continue;
    cr_expect_str_eq(rf_nearest_names_result(together[i]), rf_nearest_names_result(alone[i]), "%s",
                     pattern[i]);
    found += *rf_nearest_names_result(alone[i]) != 0;
  }
  cr_expect_gt(found, MANY / 3u);
  rf_nearest_search_free(search);
  for (size_t i = 0; i < MANY; i++) {
    rf_nearest_names_free(together[i]);
    rf_nearest_names_free(alone[i]);
  }
}

/* ---- Groups of expressions ---- */

/* The same expression with every letter in brackets, in which the filter finds no piece. */
static void in_brackets(char *out, const char *source) {
  for (bool class = false; *source; source++) {
    class = *source == '[' || (class && *source != ']');
    out +=
        sprintf(out, !class && (isalpha((unsigned char)*source) || *source == '_') ? "[%c]" : "%c", *source);
  }
}

Test(pattern, groups_of_expressions_lose_nothing, .timeout = 120) {
  static const char *const sources[] = {"^(mem|str)(cpy|chr|len)$",
                                        "(basic_|c)string",
                                        "::(reserve|resize|push_back)\\(",
                                        "^_?(Py|_Py)(List|Dict)_(New|Append|Get.*)$",
                                        "(vector|list)*map",
                                        "(get|set)+[a-z]*env",
                                        "(un)?lock|(de|al)locate",
                                        "((io|o)stream|filebuf).*::(open|is_open|~)",
                                        "(x|reserve)",
                                        "(abc|)str",
                                        "(st){2}|ost",
                                        "^std::(__cxx11::)?(basic_(string|filebuf)|locale)<?.*::[a-z]+$"};
  read_real_names();
  for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
    char plain[256], bare[1024] = "", error[256];
    snprintf(plain, sizeof plain, "/%s/", sources[i]);
    bare[0] = '/';
    in_brackets(bare + 1, sources[i]);
    strcat(bare, "/");
    struct rf_pattern_set *with = rf_pattern_set_new(), *without = rf_pattern_set_new();
    cr_assert_geq(rf_pattern_add(with, plain, error, sizeof error), 0, "%s", error);
    cr_assert_geq(rf_pattern_add(without, bare, error, sizeof error), 0, "%s", error);
    size_t hits = 0;
    for (size_t n = 0; n < name_count; n++) {
      int match = rf_pattern_match(with, "app", names[n]);
      cr_expect_eq(match, rf_pattern_match(without, "app", names[n]), "%s, %s", plain, names[n]);
      hits += match >= 0;
    }
    cr_expect_gt(hits, 0u, "%s", plain);
    rf_pattern_set_free(with);
    rf_pattern_set_free(without);
  }
}
