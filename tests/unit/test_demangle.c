/* Demangling, against c++filt. */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf/demangle.h"

#define NAMES "/usr/lib/x86_64-linux-gnu/libstdc++.so.6"

static const char *shown(const char *name) {
  static char buffer[32768];
  return rf_demangle(name, buffer, sizeof buffer) ? buffer : "";
}

static const struct {
  const char *mangled, *expected;
} table[] = {
    {"_ZN2ns1fEi", "ns::f(int)"},
    {"_ZN2ns1fIiEEvT_", "ns::f<int>(int)"}, /* no return type */
    {"_Z1fIiEPFivET_", "f<int>(int)"},      /* nor one that surrounds the name */
    {"_ZNK2ns1A1fEv", "ns::A::f() const"},
    {"_ZN1AC1Ev", "A::A()"},
    {"_ZN1AD0Ev", "A::~A()"},
    {"_ZN1AclEi", "A::operator()(int)"},
    {"_ZN1AcvPFviEEv", "A::operator void (*)(int)()"},
    {"_ZN1A1fB5cxx11Ev", "A::f[abi:cxx11]()"},
    {"_ZN12_GLOBAL__N_11fEv", "(anonymous namespace)::f()"},
    {"_ZZN1A1fEiENKUliE_clEi", "A::f(int)::{lambda(int)#1}::operator()(int) const"},
    {"_ZN1A1fEv.constprop.0", "A::f() [clone .constprop.0]"},
    {"_ZN4core3fmt5Write10write_char17h0123456789abcdefE", "core::fmt::Write::write_char"},
    {"_RNvCs1234_7mycrate3foo", "mycrate::foo"},
    {"_RINvCs1234_7mycrate3fooNtB2_3BarE", "mycrate::foo::<mycrate::Bar>"},
    {"main", ""},
    {"_Z", ""},
    {"_R", ""},
    {"_", ""},
    {"", ""},
    {"_Zebra", ""},
    {"_Rotate", ""},
    {"_ZN2ns1fEi!", ""},
};

Test(demangle, table) {
  for (size_t i = 0; i < sizeof table / sizeof *table; i++)
    cr_expect_str_eq(shown(table[i].mangled), table[i].expected, "%s: %s", table[i].mangled,
                     shown(table[i].mangled));
}

/* Every C++ name of libstdc++ as c++filt has it. c++filt shows return types, which stand in front, and writes
 * std::string in full; a name with neither must be equal. */
Test(demangle, agrees_with_cxxfilt, .timeout = 60) {
  FILE *pipe = popen(
      "nm -D --defined-only --without-symbol-versions " NAMES " | awk '{print $3}' | grep '^_Z' | sort -u > "
      "/tmp/refunc-demangle.$$; c++filt < /tmp/refunc-demangle.$$ | paste /tmp/refunc-demangle.$$ -; "
      "rm /tmp/refunc-demangle.$$",
      "r");
  char line[65536];
  size_t equal = 0, with_return_type = 0, abbreviated = 0;
  while (fgets(line, sizeof line, pipe)) {
    line[strcspn(line, "\n")] = '\0';
    char *expected = strchr(line, '\t');
    *expected++ = '\0';
    const char *name = shown(line);
    size_t length = strlen(name), expected_length = strlen(expected);
    if (strcmp(name, expected) == 0)
      equal++;
    else if (strpbrk(line, "S") && strstr(expected, "std::basic_"))
      abbreviated++;
    else if (length > 0 && length < expected_length && strcmp(expected + expected_length - length, name) == 0)
      with_return_type++;
    else
      cr_expect_fail("%s: %s instead of %s", line, name, expected);
  }
  pclose(pipe);
  cr_expect_gt(equal, 2000u);
  cr_expect_gt(with_return_type, 20u);
  cr_expect_gt(abbreviated, 50u);
}

Test(demangle, does_not_write_beyond_the_buffer) {
  const char *full = "ns::f<int>(int)";
  for (size_t size = 0; size <= strlen(full) + 1; size++) {
    char buffer[32];
    memset(buffer, '#', sizeof buffer);
    size_t length = rf_demangle("_ZN2ns1fIiEEvT_", buffer, size);
    cr_expect_eq(length, size > strlen(full) ? strlen(full) : 0, "size %zu", size);
    for (size_t i = size; i < sizeof buffer; i++) cr_assert_eq(buffer[i], '#');
  }
}

/* A long name of nested templates: A<A<A<...int...> > >::f(). */
static char *nested(size_t depth) {
  char *name = malloc(4 * depth + 64), *at = name;
  at += sprintf(at, "_ZN");
  for (size_t i = 0; i < depth; i++) at += sprintf(at, "1AI");
  *at++ = 'i';
  for (size_t i = 0; i < depth; i++) *at++ = 'E';
  strcpy(at, "1fEv");
  return name;
}

Test(demangle, long_names) {
  char *name = nested(400); /* beyond what c++filt takes without -r */
  cr_expect(strncmp(shown(name), "A<A<A<A<", 8) == 0, "%.40s", shown(name));
  free(name);
  name = nested(6000); /* beyond 16 KB */
  cr_expect_str_eq(shown(name), "");
  free(name);
}

static void *demangle_deep_name(void *name) {
  char buffer[4096];
  rf_demangle(name, buffer, sizeof buffer);
  return NULL;
}

/* Pointers to pointers to ...: each is a level of recursion. The thread has the smallest stack there is. */
Test(demangle, deep_names_on_a_small_stack) {
  char *name = malloc(16001);
  memset(name, 'P', 16000);
  memcpy(name, "_Z1f", 4);
  memcpy(name + 15999, "i", 2);
  pthread_attr_t attributes;
  pthread_t thread;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 16384 + 16384);
  cr_assert_eq(pthread_create(&thread, &attributes, demangle_deep_name, name), 0);
  pthread_join(thread, NULL);
  free(name);
}

/* f(A<int, int>, B<P, P>, B<Q, Q>, ...): each parameter twice what the one before is. */
static void doubling(char *name, int parameters) {
  static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
  char *at = name + sprintf(name, "_Z1f1AIiiE");
  for (int i = 0; i < parameters; i++) {
    char previous[16] = "";
    int number = 2 * i; /* of the substitution that stands for the parameter before */
    if (number >= 36)
      sprintf(previous, "%c%c", digits[number / 36], digits[number % 36]);
    else
      sprintf(previous, "%c", digits[number]);
    at += sprintf(at, "1BIS%s_S%s_E", previous, previous);
  }
}

Test(demangle, output_that_doubles_is_given_up, .timeout = 20) {
  char name[1024];
  doubling(name, 5);
  cr_expect_eq(strlen(shown(name)), 1048u);
  doubling(name, 60); /* 2^60 bytes */
  cr_expect_str_eq(shown(name), "");
}
