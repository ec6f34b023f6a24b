// The containers of the standard library, kept by globals, and what is lost with them: a cycle of shared
// pointers, a list.
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>

#include "leaks.h"

namespace {
struct Peer {
  std::shared_ptr<Peer> other;
  char bytes[64];
};
std::map<int, std::string> map;
std::unordered_map<std::string, int> hash;
std::list<std::string> list;
std::deque<std::string> deque;
std::set<std::shared_ptr<Peer>> *set;
} // namespace

NOINLINE void kept_containers() {
  set = new std::set<std::shared_ptr<Peer>>;
  for (int i = 0; i < 300; i++) {
    std::string text(20 + i % 60, 'x');
    map[i] = text;
    hash[text + std::to_string(i)] = i;
    list.push_back(text);
    deque.push_front(text);
    set->insert(std::make_shared<Peer>());
  }
}

NOINLINE void lost_cycle() {
  auto one = std::make_shared<Peer>(), two = std::make_shared<Peer>();
  one->other = two, two->other = one;
}

NOINLINE std::list<std::string> *lost_list() { return new std::list<std::string>(10, std::string(50, 'y')); }

NOINLINE static void lose() {
  for (int i = 0; i < 15; i++) lost_cycle();
  for (int i = 0; i < 5; i++) HIDE(lost_list());
}

int main() {
  kept_containers();
  lose();
  clear_stack();
  lost("lost_cycle", 30);
  lost("lost_list", 5 * 21); // the list, its nodes, their strings
  _exit(0);                  // the globals' destructors have not run
}
