/*
 * See dwarf_types.h. Types get numbers as they are met, those of parameters first; a queue of them is worked
 * off at the end, so that nearer ones come first and pointers are followed only so far.
 */
#include "cli/dwarf_types.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <stdlib.h>
#include <string.h>

#include "elf/pattern.h"

#define MOST_TYPES 20000u
#define MOST_POINTERS 4 /* followed from a parameter; behind that types are opaque */
#define MOST_PEELS 64

enum {
  KIND_VOID,
  KIND_SIGNED,
  KIND_UNSIGNED,
  KIND_FLOAT,
  KIND_POINTER,
  KIND_REFERENCE,
  KIND_STRUCT,
  KIND_ARRAY,
  KIND_COMPLEX,
  KIND_OPAQUE
};
enum { FLAG_BY_ADDRESS = 1, FLAG_CHARACTER = 2 };

struct queued {
  Dwarf_Die die;
  Dwarf_Off offset;
  bool none;    /* void */
  int pointers; /* on the way here */
};

struct entry {
  Dwarf_Addr address; /* in the session */
  Dwarf_Die die;
  Dwarf_Addr own; /* in the debug information */
};

struct rf_dwarf {
  Dwfl *session;
  Dwfl_Module *module;
  GElf_Addr file_bias; /* from addresses of the file to those of the session */
  struct queued *type;
  unsigned types;
  struct entry *entry; /* of every function, by address */
  size_t entries, capacity;
  bool indexed;
};

static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_build_id_find_elf,
                                         .find_debuginfo = dwfl_standard_find_debuginfo,
                                         .section_address = dwfl_offline_section_address};

void rf_dwarf_close(struct rf_dwarf *dwarf) {
  if (!dwarf) return;
  if (dwarf->session) dwfl_end(dwarf->session);
  free(dwarf->type);
  free(dwarf->entry);
  free(dwarf);
}

struct rf_dwarf *rf_dwarf_open(const char *module) {
  struct rf_dwarf *dwarf = calloc(1, sizeof *dwarf);
  GElf_Addr bias;
  if (!dwarf) return NULL;
  dwarf->type = calloc(MOST_TYPES, sizeof *dwarf->type);
  dwarf->session = dwfl_begin(&callbacks);
  if (dwarf->session && dwarf->type) dwarf->module = dwfl_report_offline(dwarf->session, "", module, -1);
  if (dwarf->session) dwfl_report_end(dwarf->session, NULL, NULL);
  if (dwarf->module && dwfl_module_getelf(dwarf->module, &dwarf->file_bias) &&
      dwfl_module_getdwarf(dwarf->module, &bias))
    return dwarf;
  rf_dwarf_close(dwarf);
  return NULL;
}

/* --- names --- */

/* As the end of a line: control characters would be lines of their own. */
static void add_name(struct rf_buffer *out, const char *name) {
  rf_buffer_char(out, ' ');
  for (const char *at = name ? name : ""; *at; at++)
    rf_buffer_char(out, (unsigned char)*at < 32 || *at == 127 ? '?' : *at);
  rf_buffer_char(out, '\n');
}

static bool number_of(Dwarf_Die *die, unsigned attribute, Dwarf_Word *value) {
  Dwarf_Attribute a;
  return dwarf_attr_integrate(die, attribute, &a) && dwarf_formudata(&a, value) == 0;
}

static bool flag_of(Dwarf_Die *die, unsigned attribute) {
  Dwarf_Attribute a;
  bool set = false;
  return dwarf_attr_integrate(die, attribute, &a) && dwarf_formflag(&a, &set) == 0 && set;
}

static const char *name_of(Dwarf_Die *die) {
  Dwarf_Attribute a;
  const char *name = dwarf_attr_integrate(die, DW_AT_name, &a) ? dwarf_formstring(&a) : NULL;
  return name ? name : "";
}

/* --- numbers of types --- */

/* The type that a DIE has, without typedefs and qualifiers. false: void. */
static bool type_die(Dwarf_Die *die, Dwarf_Die *type) {
  Dwarf_Attribute a;
  Dwarf_Die at = *die;
  for (int i = 0; i < MOST_PEELS; i++) {
    if (!dwarf_attr_integrate(&at, DW_AT_type, &a) || !dwarf_formref_die(&a, type)) return false;
    switch (dwarf_tag(type)) {
    case DW_TAG_typedef:
    case DW_TAG_const_type:
    case DW_TAG_volatile_type:
    case DW_TAG_restrict_type:
    case DW_TAG_atomic_type: at = *type; break;
    default: return true;
    }
  }
  return false;
}

/* The number of what die's DW_AT_type leads to. -1: too many. */
static int number_of_type(struct rf_dwarf *dwarf, Dwarf_Die *die, int pointers) {
  struct queued wanted = {.pointers = pointers};
  wanted.none = !type_die(die, &wanted.die);
  if (!wanted.none) wanted.offset = dwarf_dieoffset(&wanted.die);
  for (unsigned i = 0; i < dwarf->types; i++)
    if (dwarf->type[i].none == wanted.none && dwarf->type[i].offset == wanted.offset &&
        (wanted.none || dwarf->type[i].die.addr == wanted.die.addr))
      return (int)i;
  if (dwarf->types == MOST_TYPES) return 0;
  dwarf->type[dwarf->types] = wanted;
  return (int)dwarf->types++;
}

/* --- types as lines --- */

struct line {
  int kind, target, flags;
  Dwarf_Word size, align, count;
};

static void add_line(struct rf_buffer *out, const struct line *line, const char *name) {
  rf_buffer_printf(out, "T %d %llu %llu %d %llu %d", line->kind, (unsigned long long)line->size,
                   (unsigned long long)line->align, line->target, (unsigned long long)line->count,
                   line->flags);
  add_name(out, name);
}

static void describe_number(Dwarf_Die *die, struct line *line) {
  Dwarf_Word encoding = 0;
  line->align = line->size ? line->size : 1;
  number_of(die, DW_AT_encoding, &encoding);
  switch (encoding) {
  case DW_ATE_signed: line->kind = KIND_SIGNED; break;
  case DW_ATE_signed_char: line->kind = KIND_SIGNED, line->flags = FLAG_CHARACTER; break;
  case DW_ATE_unsigned_char: line->kind = KIND_UNSIGNED, line->flags = FLAG_CHARACTER; break;
  case DW_ATE_UTF: line->kind = KIND_UNSIGNED, line->flags = line->size == 1 ? FLAG_CHARACTER : 0; break;
  case DW_ATE_unsigned:
  case DW_ATE_boolean:
  case DW_ATE_address: line->kind = KIND_UNSIGNED; break;
  case DW_ATE_float: line->kind = KIND_FLOAT; break;
  default: break;
  }
}

/* An enum has an encoding, an underlying type, or neither. */
static void describe_enum(Dwarf_Die *die, struct line *line) {
  Dwarf_Die under;
  if (type_die(die, &under))
    describe_number(&under, line);
  else
    describe_number(die, line);
  if (line->kind == KIND_OPAQUE) line->kind = KIND_UNSIGNED;
  line->align = line->size ? line->size : 1;
}

static Dwarf_Word count_of(Dwarf_Die *subrange) {
  Dwarf_Word value;
  if (number_of(subrange, DW_AT_count, &value)) return value;
  return number_of(subrange, DW_AT_upper_bound, &value) && value < UINT32_MAX ? value + 1 : 0;
}

/* Several dimensions are one long array. */
static void describe_array(struct rf_dwarf *dwarf, Dwarf_Die *die, int pointers, struct line *line) {
  Dwarf_Die child, element;
  Dwarf_Word bytes = 0;
  line->kind = KIND_ARRAY;
  line->count = 1;
  if (dwarf_child(die, &child) == 0) do
      if (dwarf_tag(&child) == DW_TAG_subrange_type) line->count *= count_of(&child);
    while (dwarf_siblingof(&child, &child) == 0);
  line->target = number_of_type(dwarf, die, pointers);
  if (type_die(die, &element)) dwarf_aggregate_size(&element, &bytes);
  line->size = bytes * line->count;
  line->align = bytes && bytes <= 16 && !(bytes & (bytes - 1)) ? bytes : 8;
}

static void describe_pointer(struct rf_dwarf *dwarf, Dwarf_Die *die, int pointers, struct line *line) {
  bool reference = dwarf_tag(die) != DW_TAG_pointer_type;
  line->kind = pointers > MOST_POINTERS ? KIND_UNSIGNED : reference ? KIND_REFERENCE : KIND_POINTER;
  line->size = line->align = 8;
  if (pointers <= MOST_POINTERS) line->target = number_of_type(dwarf, die, pointers + 1);
}

static void add_bits(Dwarf_Die *member, Dwarf_Word *offset, Dwarf_Word *bits, Dwarf_Word *first) {
  Dwarf_Word place = 0, unit = 4;
  Dwarf_Die type;
  if (!number_of(member, DW_AT_bit_size, bits) || !number_of(member, DW_AT_data_bit_offset, &place)) return;
  if (type_die(member, &type)) number_of(&type, DW_AT_byte_size, &unit);
  if (!unit || unit > 8) unit = 4;
  *offset = place / (8 * unit) * unit;
  *first = place - 8 * *offset;
}

static void add_member(struct rf_dwarf *dwarf, Dwarf_Die *member, int pointers, struct rf_buffer *out) {
  Dwarf_Word offset = 0, bits = 0, first = 0;
  bool base = dwarf_tag(member) == DW_TAG_inheritance;
  if ((dwarf_tag(member) != DW_TAG_member && !base) || flag_of(member, DW_AT_external) ||
      flag_of(member, DW_AT_declaration))
    return;
  if (base && number_of(member, DW_AT_virtuality, &bits) && bits)
    return; /* where a virtual base lies is known at run time only */
  number_of(member, DW_AT_data_member_location, &offset);
  bits = 0;
  add_bits(member, &offset, &bits, &first);
  rf_buffer_printf(out, "M %d %llu %llu %llu", number_of_type(dwarf, member, pointers),
                   (unsigned long long)offset, (unsigned long long)bits, (unsigned long long)first);
  add_name(out, base ? "" : name_of(member));
}

static void describe_struct(struct rf_dwarf *dwarf, Dwarf_Die *die, int pointers, struct line *line,
                            struct rf_buffer *members) {
  Dwarf_Die child;
  Dwarf_Word convention = 0;
  if (flag_of(die, DW_AT_declaration) || pointers > MOST_POINTERS) return;
  line->kind = KIND_STRUCT;
  if (!number_of(die, DW_AT_alignment, &line->align))
    line->align = line->size % 16 ? line->size % 8 ? line->size % 4 ? 1 : 4 : 8 : 8;
  if (number_of(die, DW_AT_calling_convention, &convention) && convention == DW_CC_pass_by_reference)
    line->flags = FLAG_BY_ADDRESS;
  if (dwarf_child(die, &child) == 0) do
      add_member(dwarf, &child, pointers, members);
    while (dwarf_siblingof(&child, &child) == 0);
}

static void describe_type(struct rf_dwarf *dwarf, struct queued *type, struct rf_buffer *out) {
  struct line line = {.kind = KIND_OPAQUE, .target = -1, .align = 1};
  struct rf_buffer members = {0};
  Dwarf_Die *die = &type->die;
  const char *name = type->none ? "void" : name_of(die);
  if (type->none)
    line.kind = KIND_VOID;
  else
    number_of(die, DW_AT_byte_size, &line.size);
  switch (type->none ? 0 : dwarf_tag(die)) {
  case DW_TAG_base_type: describe_number(die, &line); break;
  case DW_TAG_enumeration_type: describe_enum(die, &line); break;
  case DW_TAG_pointer_type:
  case DW_TAG_reference_type:
  case DW_TAG_rvalue_reference_type: describe_pointer(dwarf, die, type->pointers, &line); break;
  case DW_TAG_array_type: describe_array(dwarf, die, type->pointers, &line); break;
  case DW_TAG_structure_type:
  case DW_TAG_class_type:
  case DW_TAG_union_type: describe_struct(dwarf, die, type->pointers, &line, &members); break;
  case DW_TAG_unspecified_type:
    line = (struct line){.kind = KIND_UNSIGNED, .size = 8, .align = 8, .target = -1};
    break;
  default: break;
  }
  add_line(out, &line, name);
  if (members.length) rf_buffer_add(out, members.bytes, members.length);
  rf_buffer_free(&members);
}

void rf_dwarf_types(struct rf_dwarf *dwarf, struct rf_buffer *out) {
  for (unsigned i = 0; i < dwarf->types; i++) describe_type(dwarf, &dwarf->type[i], out);
}

/* --- functions --- */

/* Compilers need not say which unit an address belongs to, so all functions of all units are looked at, once.
 */
struct indexing {
  struct rf_dwarf *dwarf;
  Dwarf_Addr bias;
};

static bool add_start(struct rf_dwarf *dwarf, const Dwarf_Die *die, Dwarf_Addr own, Dwarf_Addr bias) {
  if (dwarf->entries == dwarf->capacity) {
    size_t wanted = dwarf->capacity ? dwarf->capacity * 2 : 1024;
    struct entry *grown = realloc(dwarf->entry, wanted * sizeof *grown);
    if (!grown) return false;
    dwarf->entry = grown;
    dwarf->capacity = wanted;
  }
  dwarf->entry[dwarf->entries++] = (struct entry){own + bias, *die, own};
  return true;
}

/* A function in several parts need not say with which it begins; each may be asked for. */
static int add_entry(Dwarf_Die *die, void *user) {
  struct indexing *indexing = user;
  Dwarf_Addr own, base, end;
  if (dwarf_entrypc(die, &own) == 0)
    return add_start(indexing->dwarf, die, own, indexing->bias) ? DWARF_CB_OK : DWARF_CB_ABORT;
  for (ptrdiff_t at = 0; (at = dwarf_ranges(die, at, &base, &own, &end)) > 0;)
    if (!add_start(indexing->dwarf, die, own, indexing->bias)) return DWARF_CB_ABORT;
  return DWARF_CB_OK;
}

static int by_address(const void *left, const void *right) {
  const struct entry *a = left, *b = right;
  return a->address < b->address ? -1 : a->address > b->address;
}

static void index_functions(struct rf_dwarf *dwarf) {
  struct indexing indexing = {.dwarf = dwarf};
  Dwarf_Die *unit = NULL;
  dwarf->indexed = true;
  while ((unit = dwfl_module_nextcu(dwarf->module, unit, &indexing.bias)))
    dwarf_getfuncs(unit, add_entry, &indexing, 0);
  if (dwarf->entries) qsort(dwarf->entry, dwarf->entries, sizeof *dwarf->entry, by_address);
}

static bool find_function(struct rf_dwarf *dwarf, uint64_t offset, Dwarf_Die *die, Dwarf_Addr *entry) {
  if (!dwarf->indexed) index_functions(dwarf);
  struct entry wanted = {.address = offset + dwarf->file_bias};
  struct entry *found =
      dwarf->entries ? bsearch(&wanted, dwarf->entry, dwarf->entries, sizeof wanted, by_address) : NULL;
  if (!found) return false;
  *die = found->die;
  *entry = found->own;
  return true;
}

static unsigned count_parameters(Dwarf_Die *function) {
  Dwarf_Die child;
  unsigned count = 0;
  if (dwarf_child(function, &child) == 0) do
      count += dwarf_tag(&child) == DW_TAG_formal_parameter;
    while (dwarf_siblingof(&child, &child) == 0);
  return count;
}

/* A whole function's parameters in the order of its declaration: of what it is an instance of, where it is
 * one. */
static Dwarf_Die declared(Dwarf_Die *function) {
  Dwarf_Attribute a;
  Dwarf_Die origin;
  if (dwarf_attr(function, DW_AT_abstract_origin, &a) && dwarf_formref_die(&a, &origin) &&
      count_parameters(&origin) >= count_parameters(function))
    return origin;
  return *function;
}

/* Where a clone's parameter lies at its entry: "r REGISTER", "s STACK", "- 0". */
static void add_place(Dwarf_Die *parameter, Dwarf_Addr entry, struct rf_buffer *out) {
  Dwarf_Attribute a;
  Dwarf_Op *expression = NULL;
  size_t length = 0;
  bool located = dwarf_attr(parameter, DW_AT_location, &a) &&
                 dwarf_getlocation_addr(&a, entry, &expression, &length, 1) == 1 && length == 1;
  if (located && expression->atom >= DW_OP_reg0 && expression->atom <= DW_OP_reg31)
    rf_buffer_printf(out, "r %d", expression->atom - DW_OP_reg0);
  else if (located && expression->atom == DW_OP_fbreg && (int64_t)expression->number >= 0)
    rf_buffer_printf(out, "s %lld", (long long)(int64_t)expression->number);
  else
    rf_buffer_text(out, "- 0");
}

static void add_parameters(struct rf_dwarf *dwarf, Dwarf_Die *function, bool clone, Dwarf_Addr entry,
                           struct rf_buffer *out) {
  Dwarf_Die child;
  if (dwarf_child(function, &child) != 0) return;
  do {
    if (dwarf_tag(&child) != DW_TAG_formal_parameter) continue;
    rf_buffer_printf(out, "P %d ", number_of_type(dwarf, &child, 0));
    if (clone)
      add_place(&child, entry, out);
    else
      rf_buffer_text(out, "- 0");
    add_name(out, name_of(&child));
  } while (dwarf_siblingof(&child, &child) == 0);
}

void rf_dwarf_function(struct rf_dwarf *dwarf, uint64_t offset, const char *symbol, struct rf_buffer *out) {
  Dwarf_Die die, list;
  Dwarf_Addr entry;
  Dwarf_Word convention = 0;
  bool clone = symbol[rf_symbol_base_length(symbol)] != '\0';
  if (!dwarf || !find_function(dwarf, offset, &die, &entry)) {
    rf_buffer_printf(out, "E %llu", (unsigned long long)offset);
    add_name(out, dwarf ? "the module's debug information does not know the function"
                        : "the module has no debug information");
    return;
  }
  if (number_of(&die, DW_AT_calling_convention, &convention) && convention == DW_CC_nocall) {
    rf_buffer_printf(out, "E %llu", (unsigned long long)offset);
    add_name(out, "the compiler gave it a calling convention of its own");
    return;
  }
  list = clone ? die : declared(&die);
  rf_buffer_printf(out, "F %llu %d %d\n", (unsigned long long)offset, number_of_type(dwarf, &die, 0), clone);
  add_parameters(dwarf, &list, clone, entry, out);
}
