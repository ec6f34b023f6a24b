// An exception passes a function that holds a bare pointer; what its neighbours own is freed or kept.
#include <memory>
#include <stdexcept>
#include <vector>

#include "leaks.h"

namespace {
struct Record {
  char bytes[120];
};
std::vector<std::unique_ptr<Record>> *kept;
} // namespace

NOINLINE Record *lost_record() { return new Record(); }
NOINLINE std::unique_ptr<Record> owned_record() { return std::make_unique<Record>(); }
NOINLINE void kept_record() { kept->push_back(std::make_unique<Record>()); }

NOINLINE static void parse(int number) {
  Record *bare = lost_record();
  std::unique_ptr<Record> owned = owned_record();
  HIDE(bare);
  HIDE(owned.get());
  if (number % 2) throw std::runtime_error("a message that is long enough for a buffer of its own");
  delete bare;
}

NOINLINE static int parse_all() {
  int thrown = 0;
  for (int i = 0; i < 60; i++) {
    try {
      kept_record();
      parse(i);
    } catch (const std::exception &) {
      thrown++;
    }
  }
  return thrown;
}

int main() {
  kept = new std::vector<std::unique_ptr<Record>>;
  if (parse_all() != 30) return 1;
  clear_stack();
  lost("lost_record", 30);
  exit(0);
}
