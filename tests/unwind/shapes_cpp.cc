/* C++: exceptions, handlers, destructors that run while one is thrown, the library's callbacks. */
#include "shapes.h"

#include <algorithm>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <vector>

#define SHAPE __attribute__((noinline)) static long

namespace {

struct Visits {
  struct draw *draw;
  int depth;
  ~Visits() { draw->sink += shapes_next(draw, depth); }
};

struct Base {
  virtual long call(struct draw *draw, int depth) = 0;
  virtual ~Base() {}
};

struct First : virtual Base {
  long field = 1;
  long call(struct draw *draw, int depth) override { return shapes_next(draw, depth) + field; }
};

struct Second : First {
  long call(struct draw *draw, int depth) override { return First::call(draw, depth) + 1; }
};

SHAPE throws(struct draw *draw, int depth) {
  Visits visits{draw, depth / 3};
  if (shapes_random(draw) % 2) throw std::runtime_error("thrown");
  return shapes_next(draw, depth) + 1;
}

SHAPE catches(struct draw *draw, int depth) {
  std::string text = "a string that is too long for the object itself";
  try {
    return throws(draw, depth / 2) + (long)text.size();
  } catch (const std::exception &error) {
    return shapes_next(draw, depth / 2) + error.what()[0];
  }
}

SHAPE rethrows_inner(struct draw *draw, int depth) {
  try {
    throw depth;
  } catch (int) {
    draw->sink += shapes_next(draw, depth / 3);
    throw;
  }
}

SHAPE rethrows(struct draw *draw, int depth) {
  try {
    return rethrows_inner(draw, depth);
  } catch (int caught) {
    return shapes_next(draw, depth / 2) + caught;
  }
}

SHAPE virtual_call(struct draw *draw, int depth) {
  Second object;
  Base *base = &object;
  return base->call(draw, depth) + 1;
}

SHAPE function_object(struct draw *draw, int depth) {
  std::function<long(int)> call = [draw](int at) { return shapes_next(draw, at) + 2; };
  return call(depth) + 1;
}

SHAPE std_sort(struct draw *draw, int depth) {
  std::vector<int> numbers = {4, 2, 8, 6, 1, 9, 3};
  int calls = 0;
  std::stable_sort(numbers.begin(), numbers.end(), [&](int a, int b) {
    if (++calls == 2) draw->sink += shapes_next(draw, depth);
    return a < b;
  });
  return numbers[0];
}

struct Less {
  struct draw *draw;
  int depth;
  bool operator()(const std::string &a, const std::string &b) const {
    if (depth > 0 && a == "two") draw->sink += shapes_next(draw, depth);
    return a < b;
  }
};

SHAPE map_of(struct draw *draw, int depth) {
  std::map<std::string, int, Less> map(Less{draw, depth / 2});
  map["one"] = 1;
  map["two"] = 2;
  return (long)map.size();
}

SHAPE once(struct draw *draw, int depth) {
  std::once_flag flag;
  long result = 0;
  std::call_once(flag, [&] { result = shapes_next(draw, depth); });
  return result;
}

/* Called from inside libstdc++'s shared library: a stream's buffer that is full, and an exception that
 * crosses it. */
struct Full : std::streambuf {
  struct draw *draw;
  int depth;
  Full(struct draw *given, int left) : draw(given), depth(left) {}
  int_type overflow(int_type c) override {
    draw->sink += shapes_next(draw, depth);
    if (shapes_random(draw) % 2) throw std::length_error("full");
    return c;
  }
};

SHAPE streams(struct draw *draw, int depth) {
  Full buffer(draw, depth / 2);
  std::ostream stream(&buffer);
  stream << 1;
  stream.clear();
  stream.exceptions(std::ios::badbit);
  try {
    stream << 2.5;
  } catch (const std::exception &) {
    return shapes_next(draw, depth / 3);
  }
  return 1;
}

/* A destructor that runs while libstdc++ takes a container apart, and a comparison in a sorted list. */
SHAPE lists(struct draw *draw, int depth) {
  std::list<int> list = {3, 1, 2};
  int calls = 0;
  list.sort([&](int a, int b) {
    if (++calls == 1) draw->sink += shapes_next(draw, depth / 2);
    return a < b;
  });
  std::vector<std::shared_ptr<Visits>> kept(2);
  kept[1] = std::make_shared<Visits>(Visits{draw, depth / 3});
  return list.front();
}

} // namespace

shape *const shapes_cpp[] = {catches, rethrows, virtual_call, function_object, std_sort, map_of,
                             once,    streams,  lists};
const unsigned shapes_cpp_count = sizeof shapes_cpp / sizeof shapes_cpp[0];
