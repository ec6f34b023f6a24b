/*
 * What rules need to know of a function: its parameters' and its result's types and names, from a C
 * declaration (signature.c) or from DWARF (dwarf.c in the tool, handed over as text: description.c), and
 * where each lies at a call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/arguments.h"
#include "base/pool.h"

enum rf_type_kind {
  RF_TYPE_VOID,
  RF_TYPE_SIGNED,
  RF_TYPE_UNSIGNED, /* bool too */
  RF_TYPE_FLOAT,    /* 4, 8, or an extended double in 16 bytes */
  RF_TYPE_POINTER,
  RF_TYPE_REFERENCE,
  RF_TYPE_STRUCT, /* classes and unions, too */
  RF_TYPE_ARRAY,
  RF_TYPE_COMPLEX,
  RF_TYPE_OPAQUE /* known by name only, functions, 128-bit integers, ... */
};

struct rf_type;

struct rf_field {
  const char *name; /* "" for an anonymous struct, whose fields count as the outer one's */
  const struct rf_type *type;
  uint32_t offset;
  uint8_t bits, first_bit; /* of a bit field, from the offset's lowest bit; bits 0: none */
};

struct rf_type {
  enum rf_type_kind kind;
  uint32_t size, align;
  bool by_address; /* a C++ class that can't be copied by its bytes */
  bool character;  /* char and its relatives */
  const char *name;
  const struct rf_type *target; /* of pointers, references, arrays, complex numbers */
  uint64_t count;               /* of arrays; 0: not known */
  struct rf_field *field;
  size_t fields;
};

struct rf_parameter {
  const char *name; /* "" where there is none */
  const struct rf_type *type;
  struct rf_place place;
};

struct rf_signature {
  const struct rf_type *result;
  struct rf_place result_place;
  struct rf_parameter *parameter;
  size_t parameters;
  bool places_given; /* by DWARF, of a clone */
};

/* Fills in the places by the calling convention. hidden arguments come first. */
bool rf_signature_place(struct rf_signature *signature, struct rf_pool *pool);
/* Size, alignment and scalars of a type. false: not known by value. */
bool rf_type_shape(const struct rf_type *type, struct rf_pool *pool, struct rf_shape *shape);

/*
 * Reads a C declaration such as "int f(const double *x, size_t n, struct { double lr; int steps; } *cfg)".
 * Basic types, the fixed-width ones, pointers, references, arrays, bool, enums and structs written out are
 * known; other names only as a pointer's target. One line in error otherwise.
 */
bool rf_signature_parse(const char *text, struct rf_pool *pool, struct rf_signature *signature, char *error,
                        size_t error_bytes);

/* Text that the tool writes about functions (one block a function, see description.c). NULL at the end or
 * where it is malformed; *text is moved on. */
struct rf_description {
  uint64_t offset;     /* as asked for */
  const char *problem; /* why there is no signature; else NULL */
  struct rf_signature signature;
};
struct rf_descriptions {
  struct rf_description *description;
  size_t count;
};
bool rf_descriptions_parse(const char *text, size_t length, struct rf_pool *pool,
                           struct rf_descriptions *descriptions);

/* The field of a struct, anonymous ones looked through; *offset is added to. NULL: none. */
const struct rf_field *rf_type_field(const struct rf_type *type, const char *name, uint32_t *offset);
/* A basic type by its C name ("unsigned long", "size_t"), or NULL. */
const struct rf_type *rf_type_named(const char *name);
