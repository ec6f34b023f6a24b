// Pointers into the middle of objects: a second base class, arrays with a cookie in front, the buffers of
// strings and vectors.
#include <memory>
#include <string>
#include <vector>

#include "leaks.h"

namespace {
struct Name {
  virtual ~Name() = default;
  std::string text = "a name that is too long to lie in the string itself";
};
struct Number {
  virtual ~Number() = default;
  long value[3] = {1, 2, 3};
};
struct Both : Name, Number {};
struct Counted {
  ~Counted() { value = 0; }
  long value = 1;
};

Number *number;
Counted *counted;
std::vector<std::string> *strings;
std::string *end;
} // namespace

NOINLINE Number *kept_both() { return new Both; }
NOINLINE Counted *kept_array() { return new Counted[20]; }
NOINLINE void kept_strings() {
  strings = new std::vector<std::string>;
  for (int i = 0; i < 100; i++) strings->push_back(std::string(100, 'x'));
  end = &*strings->end(); // one behind the last
}
NOINLINE Number *lost_both() { return new Both; }
NOINLINE Counted *lost_array() { return new Counted[20]; }
NOINLINE std::string *lost_string() { return new std::string(100, 'y'); }

NOINLINE static void lose() {
  for (int i = 0; i < 10; i++) {
    HIDE(lost_both());
    HIDE(lost_array());
    HIDE(lost_string());
  }
}

int main() {
  number = kept_both();
  counted = kept_array();
  kept_strings();
  lose();
  clear_stack();
  lost("lost_both", 20); // each with the buffer of its name
  lost("lost_array", 10);
  lost("lost_string", 20);
  exit(number && counted && strings && end ? 0 : 1);
}
