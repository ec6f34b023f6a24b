/* A module that is loaded, unloaded and replaced by one of another ROOM at the same place. */
#include "shapes.h"

long shape_in_module(struct draw *draw, int depth) {
  volatile char room[ROOM];
  room[depth & 7] = 1;
  draw->visit(draw);
  return room[depth & 7];
}
