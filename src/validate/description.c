/*
 * What the tool says of functions from their DWARF, as text of lines:
 *
 *   T KIND SIZE ALIGN TARGET COUNT FLAGS NAME     a type; its number is its line's among the T lines, from 0;
 *                                                 TARGET -1: none
 *   M TYPE OFFSET BITS FIRST_BIT NAME             a field of the last T that is a struct (TYPE by number)
 *   F OFFSET RESULT GIVEN                         a function; GIVEN 1: its parameters' places come with them
 *   P TYPE PLACE WHERE NAME                       its parameters; PLACE r (register WHERE), s (stack WHERE), - (by
 *                                                 the convention, or unknown)
 *   E OFFSET REASON                               a function without a signature
 *
 * Types may refer to later ones. Nothing in it is trusted.
 */
#include <stdlib.h>
#include <string.h>

#include "validate/type.h"

struct reader {
  struct rf_pool *pool;
  struct rf_type *type;
  size_t types, types_seen, last_struct;
  struct rf_descriptions *out;
  size_t capacity, field_capacity, parameter_capacity;
};

static long number(char **at) {
  char *end;
  long value = strtol(*at, &end, 10);
  *at = end;
  return value;
}

static uint64_t wide(char **at) {
  char *end;
  uint64_t value = strtoull(*at, &end, 10);
  *at = end;
  return value;
}

static const char *rest(char *at) { return *at == ' ' ? at + 1 : at; }

static const struct rf_type *type_at(struct reader *r, long index) {
  return index >= 0 && (size_t)index < r->types ? &r->type[index] : NULL;
}

static bool read_type(struct reader *r, char *at) {
  if (r->types_seen == r->types) return false;
  struct rf_type *type = &r->type[r->types_seen++];
  long kind = number(&at);
  if (kind < 0 || kind > RF_TYPE_OPAQUE) return false;
  type->kind = (enum rf_type_kind)kind;
  type->size = (uint32_t)wide(&at);
  type->align = (uint32_t)wide(&at);
  if (!type->align || (type->align & (type->align - 1))) type->align = 1;
  type->target = type_at(r, number(&at));
  type->count = wide(&at);
  long flags = number(&at);
  type->by_address = flags & 1;
  type->character = flags & 2;
  type->name = rest(at);
  bool needs = kind == RF_TYPE_ARRAY || kind == RF_TYPE_COMPLEX || kind == RF_TYPE_POINTER ||
               kind == RF_TYPE_REFERENCE;
  bool scalar = kind == RF_TYPE_SIGNED || kind == RF_TYPE_UNSIGNED || kind == RF_TYPE_POINTER ||
                kind == RF_TYPE_REFERENCE;
  if (needs && !type->target) return false;
  if (scalar && type->size != 1 && type->size != 2 && type->size != 4 && type->size != 8)
    type->kind = RF_TYPE_OPAQUE;
  if (kind == RF_TYPE_FLOAT && type->size != 4 && type->size != 8 && type->size != 16)
    type->kind = RF_TYPE_OPAQUE;
  r->last_struct = kind == RF_TYPE_STRUCT ? r->types_seen : 0;
  r->field_capacity = 0;
  return true;
}

static bool read_field(struct reader *r, char *at) {
  if (!r->last_struct) return false;
  struct rf_type *owner = &r->type[r->last_struct - 1];
  struct rf_field field = {.type = type_at(r, number(&at))};
  field.offset = (uint32_t)wide(&at);
  field.bits = (uint8_t)wide(&at);
  field.first_bit = (uint8_t)wide(&at);
  field.name = rest(at);
  if (!field.type || field.offset > owner->size || field.bits > 64 || field.first_bit > 63) return false;
  owner->field = rf_pool_grow(r->pool, owner->field, owner->fields, &r->field_capacity, sizeof field);
  if (!owner->field) return false;
  owner->field[owner->fields++] = field;
  return true;
}

static struct rf_description *add(struct reader *r, uint64_t offset) {
  struct rf_descriptions *out = r->out;
  out->description =
      rf_pool_grow(r->pool, out->description, out->count, &r->capacity, sizeof *out->description);
  if (!out->description) return NULL;
  struct rf_description *fresh = &out->description[out->count++];
  *fresh = (struct rf_description){.offset = offset};
  r->parameter_capacity = 0;
  return fresh;
}

static bool read_function(struct reader *r, char *at) {
  struct rf_description *fresh = add(r, wide(&at));
  if (!fresh) return false;
  fresh->signature.result = type_at(r, number(&at));
  fresh->signature.places_given = number(&at) == 1;
  return fresh->signature.result != NULL;
}

static bool read_parameter(struct reader *r, char *at) {
  if (!r->out->count) return false;
  struct rf_signature *signature = &r->out->description[r->out->count - 1].signature;
  struct rf_parameter parameter = {.type = type_at(r, number(&at))};
  at += *at == ' ';
  char kind = *at ? *at++ : '-';
  long where = number(&at);
  if (kind == 'r') parameter.place = rf_place_register((unsigned)where);
  if (kind == 's') parameter.place = rf_place_frame(where);
  parameter.name = rest(at);
  if (!parameter.type) return false;
  signature->parameter = rf_pool_grow(r->pool, signature->parameter, signature->parameters,
                                      &r->parameter_capacity, sizeof parameter);
  if (!signature->parameter) return false;
  signature->parameter[signature->parameters++] = parameter;
  return true;
}

static bool read_problem(struct reader *r, char *at) {
  struct rf_description *fresh = add(r, wide(&at));
  if (fresh) fresh->problem = rest(at);
  return fresh != NULL;
}

static bool read_line(struct reader *r, char *line) {
  switch (line[0]) {
  case 'T': return read_type(r, line + 1);
  case 'M': return read_field(r, line + 1);
  case 'F': return read_function(r, line + 1);
  case 'P': return read_parameter(r, line + 1);
  case 'E': return read_problem(r, line + 1);
  default: return line[0] == '\0';
  }
}

static size_t count_types(const char *text, size_t length) {
  size_t count = 0;
  for (size_t i = 0; i < length; i++) count += text[i] == 'T' && (i == 0 || text[i - 1] == '\n');
  return count;
}

bool rf_descriptions_parse(const char *text, size_t length, struct rf_pool *pool,
                           struct rf_descriptions *out) {
  *out = (struct rf_descriptions){0};
  char *copy = rf_pool_slice(pool, text, length);
  struct reader r = {.pool = pool, .out = out, .types = count_types(text, length)};
  r.type = rf_pool_take(pool, (r.types + 1) * sizeof *r.type);
  if (!copy || !r.type) return false;
  for (char *line = copy, *end; line && *line; line = end) {
    end = strchr(line, '\n');
    if (end) *end++ = '\0';
    if (!read_line(&r, line)) return false;
  }
  for (size_t i = 0; i < out->count; i++) {
    struct rf_description *d = &out->description[i];
    if (!d->problem && !rf_signature_place(&d->signature, pool))
      d->problem = "a parameter has a type whose size is not known";
  }
  return true;
}
