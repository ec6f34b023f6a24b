/*
 * Patterns that choose functions: name, glob, /regex/, each with an optional "module!" glob in front.
 * Compiled once; a set is matched against every symbol, so that a million symbols and 50 patterns take under
 * a second: one pass over a symbol's bytes leaves the few patterns that could match it at all, exact names
 * are looked up in a hash table, and a C++ symbol is demangled only when one of those patterns needs it.
 *
 * A pattern is matched against the demangled name without return type and, unless the pattern contains '(',
 * without parameters; C symbols and a clone's source name (f for f.constprop.0, f.isra.1, f.part.2, f.cold,
 * f.lto_priv.3) likewise. A plain C++ name ns::f stands for every overload; also for ns::f<int> of a
 * template, and ns::A::f for ns::A<int>::f. A glob contains * or ? outside operator*. POSIX extended regular
 * expressions search anywhere (anchor with ^ and $); of their parentheses only \( counts as one of the name.
 * What means nothing does not matter: spaces, [abi:...] tags, the namespaces __cxx11 and __1, const char* for
 * char const*, (void) for (), std::string for what it stands for, a const behind the parameters. The '(' of
 * operator(), (anonymous namespace) and {lambda(...)#1} is none of parameters. A mangled name (_Z..., _R...)
 * means itself. libssl.so.3! stands for libssl.so.3.0.14 too.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Opaque. A set serves one thread at a time: matching needs scratch memory, which the set holds. No function
 * here is signal-safe, or may be called from a hit. */
struct rf_pattern_set;

struct rf_pattern_set *rf_pattern_set_new(void); /* NULL: no memory */
/* error receives one line: what is wrong with the pattern and what would be right. Returns its index, or -1.
 * Patterns have at most 4,096 bytes; expressions with back references, more than 50 nested groups or large
 * repetitions are refused. */
int rf_pattern_add(struct rf_pattern_set *set, const char *pattern, char *error, size_t error_bytes);
void rf_pattern_set_free(struct rf_pattern_set *set);
size_t rf_pattern_count(const struct rf_pattern_set *set);
const char *rf_pattern_text(const struct rf_pattern_set *set, size_t index);

/* Whether any pattern could match in this module (by its base name): lets whole modules be left out. */
bool rf_pattern_wants_module(const struct rf_pattern_set *set, const char *module);
/* Index of the first pattern that the symbol matches, or -1. symbol as in the symbol table. Cost: about 50 ns
 * for C names, 150 ns for C++ names, 2 us where a C++ name has to be demangled. */
int rf_pattern_match(const struct rf_pattern_set *set, const char *module, const char *symbol);
/* Calls hit for every pattern that matches. */
void rf_pattern_match_all(const struct rf_pattern_set *set, const char *module, const char *symbol,
                          void (*hit)(void *user, size_t index), void *user);

/* The source name of a clone: length of the part of symbol before .constprop.N, .isra.N, .part.N,
 * .lto_priv.N, .cold, .llvm.N; its whole length for others. */
size_t rf_symbol_base_length(const char *symbol);
/* Whether symbol is a .cold part, which is never patched. */
bool rf_symbol_is_cold(const char *symbol);

/* Names that come nearest to a pattern that matched nothing; feed each symbol, then ask: at most 3,
 * newline-separated, best first, "" if none is near. They live until the next question. Cost of feeding:
 * about 100 ns. */
struct rf_nearest_names; /* opaque */
struct rf_nearest_names *rf_nearest_names_new(const char *pattern);
void rf_nearest_names_feed(struct rf_nearest_names *nearest, const char *symbol);
const char *rf_nearest_names_result(struct rf_nearest_names *nearest);
void rf_nearest_names_free(struct rf_nearest_names *nearest);

/* Feeds many of them (NULLs among them are left out), which have to live as long; what comes out is the same.
 * NULL: no memory. Cost of feeding: 0.1 us for 64 of them, 0.3 us for C++ names, where nothing is near. */
struct rf_nearest_search; /* opaque */
struct rf_nearest_search *rf_nearest_search_new(struct rf_nearest_names *const *names, size_t count);
void rf_nearest_search_feed(struct rf_nearest_search *search, const char *symbol);
void rf_nearest_search_free(struct rf_nearest_search *search);
