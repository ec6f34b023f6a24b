/* See type.h. */
#include "validate/type.h"

#include <string.h>

#define DEPTH 12
#define MOST_LEAVES 64

struct leaves {
  struct rf_leaf *leaf;
  size_t count;
};

static bool add_leaf(struct leaves *out, uint32_t offset, uint32_t size, enum rf_leaf_class class) {
  if (out->count == MOST_LEAVES) return false;
  out->leaf[out->count++] = (struct rf_leaf){offset, size, class};
  return true;
}

static bool add_leaves(struct leaves *out, const struct rf_type *type, uint32_t offset, int depth);

static bool add_fields(struct leaves *out, const struct rf_type *type, uint32_t offset, int depth) {
  for (size_t i = 0; i < type->fields; i++) {
    const struct rf_field *field = &type->field[i];
    if (field->bits
            ? !add_leaf(out, (offset + field->offset + field->first_bit / 8) & ~0u, 1, RF_LEAF_INTEGER)
            : !add_leaves(out, field->type, offset + field->offset, depth + 1))
      return false;
  }
  return true;
}

static bool add_elements(struct leaves *out, const struct rf_type *type, uint64_t count, uint32_t offset,
                         int depth) {
  if (count > MOST_LEAVES) return false;
  for (uint64_t i = 0; i < count; i++)
    if (!add_leaves(out, type, offset + (uint32_t)i * type->size, depth + 1)) return false;
  return true;
}

static bool add_leaves(struct leaves *out, const struct rf_type *type, uint32_t offset, int depth) {
  if (depth > DEPTH || offset > 16) return depth <= DEPTH;
  switch (type->kind) {
  case RF_TYPE_SIGNED:
  case RF_TYPE_UNSIGNED:
  case RF_TYPE_POINTER:
  case RF_TYPE_REFERENCE: return add_leaf(out, offset, type->size, RF_LEAF_INTEGER);
  case RF_TYPE_FLOAT:
    return add_leaf(out, offset, type->size, type->size > 8 ? RF_LEAF_EXTENDED : RF_LEAF_VECTOR);
  case RF_TYPE_COMPLEX: return add_elements(out, type->target, 2, offset, depth);
  case RF_TYPE_ARRAY: return add_elements(out, type->target, type->count, offset, depth);
  case RF_TYPE_STRUCT: return add_fields(out, type, offset, depth);
  default: return false;
  }
}

bool rf_type_shape(const struct rf_type *type, struct rf_pool *pool, struct rf_shape *shape) {
  struct leaves leaves = {rf_pool_take(pool, MOST_LEAVES * sizeof *leaves.leaf), 0};
  *shape = (struct rf_shape){.size = type->size, .align = type->align, .by_address = type->by_address};
  if (type->kind == RF_TYPE_VOID) return true;
  if (type->by_address || (type->kind == RF_TYPE_STRUCT && type->size > 16)) return true;
  if (!leaves.leaf || !type->size || !add_leaves(&leaves, type, 0, 0)) return false;
  shape->leaf = leaves.leaf;
  shape->leaves = leaves.count;
  return true;
}

/* An empty C++ struct takes no place at all. */
static bool takes_none(const struct rf_type *type) {
  return type->kind == RF_TYPE_STRUCT && !type->fields && type->size == 1 && !type->by_address;
}

bool rf_signature_place(struct rf_signature *signature, struct rf_pool *pool) {
  struct rf_placer placer = {0};
  struct rf_shape shape;
  bool hidden = false, known = rf_type_shape(signature->result, pool, &shape);
  signature->result_place = known ? rf_place_result(&shape, &hidden) : (struct rf_place){0};
  if (!known) return false;
  if (hidden) placer.integers++;
  for (size_t i = 0; i < signature->parameters; i++) {
    struct rf_parameter *parameter = &signature->parameter[i];
    if (takes_none(parameter->type)) continue;
    if (!rf_type_shape(parameter->type, pool, &shape)) return false;
    struct rf_place place = rf_place_argument(&placer, &shape);
    if (!signature->places_given) parameter->place = place;
  }
  return true;
}

const struct rf_field *rf_type_field(const struct rf_type *type, const char *name, uint32_t *offset) {
  for (size_t i = 0; i < type->fields; i++) {
    const struct rf_field *field = &type->field[i];
    uint32_t inside = field->offset;
    if (!field->name[0] && field->type->kind == RF_TYPE_STRUCT)
      field = rf_type_field(field->type, name, &inside);
    else if (strcmp(field->name, name) != 0)
      continue;
    if (!field) continue;
    *offset += inside;
    return field;
  }
  return NULL;
}

#define BASIC(text, what, bytes, is_character)                                                               \
  { .kind = what, .size = bytes, .align = bytes, .name = text, .character = is_character }

static const struct rf_type basics[] = {
    {.kind = RF_TYPE_VOID, .name = "void"},
    BASIC("char", RF_TYPE_SIGNED, 1, true),
    BASIC("signed char", RF_TYPE_SIGNED, 1, true),
    BASIC("unsigned char", RF_TYPE_UNSIGNED, 1, true),
    BASIC("char8_t", RF_TYPE_UNSIGNED, 1, true),
    BASIC("bool", RF_TYPE_UNSIGNED, 1, false),
    BASIC("_Bool", RF_TYPE_UNSIGNED, 1, false),
    BASIC("short", RF_TYPE_SIGNED, 2, false),
    BASIC("unsigned short", RF_TYPE_UNSIGNED, 2, false),
    BASIC("int", RF_TYPE_SIGNED, 4, false),
    BASIC("unsigned int", RF_TYPE_UNSIGNED, 4, false),
    BASIC("long", RF_TYPE_SIGNED, 8, false),
    BASIC("unsigned long", RF_TYPE_UNSIGNED, 8, false),
    BASIC("float", RF_TYPE_FLOAT, 4, false),
    BASIC("double", RF_TYPE_FLOAT, 8, false),
    BASIC("long double", RF_TYPE_FLOAT, 16, false),
    BASIC("int8_t", RF_TYPE_SIGNED, 1, true),
    BASIC("int16_t", RF_TYPE_SIGNED, 2, false),
    BASIC("int32_t", RF_TYPE_SIGNED, 4, false),
    BASIC("int64_t", RF_TYPE_SIGNED, 8, false),
    BASIC("uint8_t", RF_TYPE_UNSIGNED, 1, true),
    BASIC("uint16_t", RF_TYPE_UNSIGNED, 2, false),
    BASIC("uint32_t", RF_TYPE_UNSIGNED, 4, false),
    BASIC("uint64_t", RF_TYPE_UNSIGNED, 8, false),
    BASIC("size_t", RF_TYPE_UNSIGNED, 8, false),
    BASIC("ssize_t", RF_TYPE_SIGNED, 8, false),
    BASIC("off_t", RF_TYPE_SIGNED, 8, false),
    BASIC("time_t", RF_TYPE_SIGNED, 8, false),
    BASIC("ptrdiff_t", RF_TYPE_SIGNED, 8, false),
    BASIC("intptr_t", RF_TYPE_SIGNED, 8, false),
    BASIC("uintptr_t", RF_TYPE_UNSIGNED, 8, false),
    BASIC("intmax_t", RF_TYPE_SIGNED, 8, false),
    BASIC("uintmax_t", RF_TYPE_UNSIGNED, 8, false),
    BASIC("char16_t", RF_TYPE_UNSIGNED, 2, false),
    BASIC("char32_t", RF_TYPE_UNSIGNED, 4, false),
    BASIC("wchar_t", RF_TYPE_SIGNED, 4, false),
};

const struct rf_type *rf_type_named(const char *name) {
  for (size_t i = 0; i < sizeof basics / sizeof *basics; i++)
    if (strcmp(basics[i].name, name) == 0) return &basics[i];
  return NULL;
}
