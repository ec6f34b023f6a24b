/* See arguments.h. System V AMD64 ABI, 3.2.3. */
#include "arch/x86_64/arguments.h"

#define INTEGERS 6u
#define VECTORS 8u

/* Classes of the two eightbytes of a value of at most 16 bytes. */
struct classes {
  enum { NOTHING, VECTOR, INTEGER, EXTENDED, MEMORY } of[2];
};

static struct classes classify(const struct rf_shape *shape) {
  struct classes c = {{NOTHING, NOTHING}};
  if (shape->size > 16 || !shape->size) return (struct classes){{MEMORY, MEMORY}};
  for (size_t i = 0; i < shape->leaves; i++) {
    const struct rf_leaf *leaf = &shape->leaf[i];
    unsigned half = leaf->offset >= 8;
    if (leaf->class == RF_LEAF_EXTENDED) return (struct classes){{EXTENDED, EXTENDED}};
    if (leaf->size && leaf->offset % leaf->size) return (struct classes){{MEMORY, MEMORY}}; /* packed */
    if (leaf->class == RF_LEAF_INTEGER)
      c.of[half] = INTEGER;
    else if (c.of[half] == NOTHING)
      c.of[half] = VECTOR;
    if (leaf->size > 8) c.of[1] = leaf->class == RF_LEAF_INTEGER ? INTEGER : VECTOR;
  }
  return c;
}

static unsigned count(const struct classes *c, int class) {
  return ((int)c->of[0] == class) + ((int)c->of[1] == class);
}

static struct rf_place on_stack(struct rf_placer *placer, uint32_t size, uint32_t align) {
  uint32_t step = align > 8 ? align : 8;
  placer->stack = (placer->stack + step - 1) & ~(step - 1);
  struct rf_place place = {.kind = RF_PLACE_STACK,
                           .part = {(int32_t)placer->stack, (int32_t)placer->stack + 8}};
  placer->stack += (size + 7) & ~7u;
  return place;
}

static int32_t next_register(struct rf_placer *placer, int class) {
  if (class == INTEGER) return (int32_t)(RF_SAVED_INTEGER + 8 * placer->integers++);
  return (int32_t)(RF_SAVED_VECTOR + 8 * placer->vectors++);
}

static struct rf_place address_argument(struct rf_placer *placer) {
  struct rf_place place =
      placer->integers < INTEGERS
          ? (struct rf_place){.kind = RF_PLACE_SAVED, .part = {next_register(placer, INTEGER)}}
          : on_stack(placer, 8, 8);
  place.by_address = true;
  return place;
}

struct rf_place rf_place_argument(struct rf_placer *placer, const struct rf_shape *shape) {
  if (shape->by_address) return address_argument(placer);
  struct classes c = classify(shape);
  bool fits =
      placer->integers + count(&c, INTEGER) <= INTEGERS && placer->vectors + count(&c, VECTOR) <= VECTORS;
  if (c.of[0] == MEMORY || c.of[0] == EXTENDED || c.of[0] == NOTHING || !fits)
    return on_stack(placer, shape->size, shape->align);
  struct rf_place place = {.kind = RF_PLACE_SAVED};
  for (int i = 0; i < 2 && c.of[i] != NOTHING; i++) place.part[i] = next_register(placer, c.of[i]);
  return place;
}

struct rf_place rf_place_result(const struct rf_shape *shape, bool *hidden) {
  struct classes c = classify(shape);
  bool extended = c.of[0] == EXTENDED && shape->leaves == 1;
  *hidden =
      shape->size && (shape->by_address || c.of[0] == MEMORY || (c.of[0] == EXTENDED && shape->leaves > 2));
  if (!shape->size) return (struct rf_place){.kind = RF_PLACE_UNKNOWN};
  if (*hidden) return (struct rf_place){.kind = RF_PLACE_SAVED, .part = {RF_SAVED_RAX}, .by_address = true};
  if (extended) return (struct rf_place){.kind = RF_PLACE_SAVED, .part = {RF_SAVED_X87, RF_SAVED_X87 + 8}};
  if (c.of[0] == EXTENDED) return (struct rf_place){.kind = RF_PLACE_UNKNOWN};
  struct rf_place place = {.kind = RF_PLACE_SAVED};
  int32_t integer = RF_SAVED_RAX, vector = RF_SAVED_XMM0;
  for (int i = 0; i < 2 && c.of[i] != NOTHING; i++) {
    int32_t *next = c.of[i] == INTEGER ? &integer : &vector;
    place.part[i] = *next;
    *next += 8;
  }
  return place;
}

struct rf_place rf_place_register(unsigned number) {
  static const int8_t order[] = {-1, 2,  3,  -1, 1,
                                 0,  -1, -1, 4,  5}; /* rax rdx rcx rbx rsi rdi rbp rsp r8 r9 */
  struct rf_place place = {.kind = RF_PLACE_UNKNOWN};
  if (number < sizeof order && order[number] >= 0)
    place = (struct rf_place){.kind = RF_PLACE_SAVED, .part = {RF_SAVED_INTEGER + 8 * order[number]}};
  else if (number >= 17 && number < 17 + VECTORS)
    place =
        (struct rf_place){.kind = RF_PLACE_SAVED, .part = {(int32_t)(RF_SAVED_VECTOR + 8 * (number - 17))}};
  return place;
}

struct rf_place rf_place_frame(int64_t offset) {
  if (offset < 0 || offset > 1 << 20) return (struct rf_place){.kind = RF_PLACE_UNKNOWN};
  return (struct rf_place){.kind = RF_PLACE_STACK, .part = {(int32_t)offset, (int32_t)offset + 8}};
}
