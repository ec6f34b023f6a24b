/* A shared library, so that calls into it and back go through linkage stubs. */
#include "shapes.h"

long shape_library(struct draw *draw, int depth) {
  volatile long here = depth;
  return shapes_next(draw, depth) + here;
}

long shapes_library_add(long a, long b) { return a + b; }
