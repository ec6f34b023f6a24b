/* A stack machine with a step limit; one function per group of operations. */
#include "unwind/expression.h"

#include "unwind/cursor.h"

enum { DEPTH = 32, STEPS = 1000 };

struct machine {
  const struct rf_expression_context *context;
  struct rf_cursor code;
  const uint8_t *start;
  struct rf_value stack[DEPTH];
  unsigned depth;
  bool bad;
};

static struct rf_value constant(intptr_t value) { return (struct rf_value){RF_CONSTANT, 0, 0, value}; }

static void push(struct machine *m, struct rf_value value) {
  if (m->depth == DEPTH)
    m->bad = true;
  else
    m->stack[m->depth++] = value;
}

static struct rf_value pop(struct machine *m) {
  if (m->depth) return m->stack[--m->depth];
  m->bad = true;
  return constant(0);
}

static intptr_t pop_number(struct machine *m) {
  struct rf_value value = pop(m);
  if (value.kind != RF_CONSTANT) m->bad = true;
  return value.add;
}

static void pick(struct machine *m, unsigned index) {
  if (index >= m->depth)
    m->bad = true;
  else
    push(m, m->stack[m->depth - 1 - index]);
}

static void add(struct machine *m, struct rf_value value, intptr_t number) {
  intptr_t *to = value.kind == RF_REGISTER ? &value.offset : &value.add;
  *to = (intptr_t)((uintptr_t)*to + (uintptr_t)number);
  push(m, value);
}

static void plus(struct machine *m) {
  struct rf_value b = pop(m), a = pop(m);
  if (b.kind == RF_CONSTANT)
    add(m, a, b.add);
  else if (a.kind == RF_CONSTANT)
    add(m, b, a.add);
  else
    m->bad = true;
}

static void push_register(struct machine *m, uint64_t reg, int64_t offset) {
  const struct rf_expression_context *context = m->context;
  if (reg == RF_REG_RETURN) return add(m, constant((intptr_t)context->pc), offset);
  if (reg > RF_REG_RETURN)
    m->bad = true;
  else if (!context->registers)
    push(m, (struct rf_value){RF_REGISTER, (uint8_t)reg, offset, 0});
  else if (context->valid >> reg & 1)
    add(m, constant((intptr_t)context->registers->at[reg]), offset);
  else
    m->bad = true;
}

static void load(struct machine *m, uint64_t bytes) {
  struct rf_value value = pop(m);
  uintptr_t loaded = 0;
  if (value.kind == RF_REGISTER && bytes == 8) {
    value.kind = RF_LOADED;
    return push(m, value);
  }
  if (value.kind != RF_CONSTANT || !m->context->read ||
      !(bytes == 1 || bytes == 2 || bytes == 4 || bytes == 8) ||
      !m->context->read(m->context->user, (uintptr_t)value.add, &loaded)) {
    m->bad = true;
    return;
  }
  push(m, constant(bytes == 8 ? (intptr_t)loaded : (intptr_t)(loaded & ~(~(uintptr_t)0 << 8 * bytes))));
}

static void binary(struct machine *m, uint8_t op) {
  intptr_t b = pop_number(m), a = pop_number(m), r = 0;
  uintptr_t ua = (uintptr_t)a, ub = (uintptr_t)b;
  if (m->bad) return;
  switch (op) {
  case 0x1a: r = a & b; break;
  case 0x1b:
    m->bad = b == 0 || (b == -1 && a == INTPTR_MIN);
    r = m->bad ? 0 : a / b;
    break;
  case 0x1d:
    m->bad = b == 0;
    r = m->bad ? 0 : (intptr_t)(ua % ub);
    break;
  case 0x1e: r = (intptr_t)(ua * ub); break;
  case 0x21: r = a | b; break;
  case 0x24: r = ub < 64 ? (intptr_t)(ua << ub) : 0; break;
  case 0x25: r = ub < 64 ? (intptr_t)(ua >> ub) : 0; break;
  case 0x26: r = ub < 64 ? a >> ub : a >> 63; break;
  case 0x27: r = a ^ b; break;
  case 0x29: r = a == b; break;
  case 0x2a: r = a >= b; break;
  case 0x2b: r = a > b; break;
  case 0x2c: r = a <= b; break;
  case 0x2d: r = a < b; break;
  case 0x2e: r = a != b; break;
  }
  push(m, constant(r));
}

static void minus(struct machine *m) {
  struct rf_value b = pop(m);
  if (b.kind != RF_CONSTANT) m->bad = true;
  add(m, pop(m), (intptr_t) - (uintptr_t)b.add);
}

static void unary(struct machine *m, uint8_t op) {
  intptr_t a = pop_number(m);
  if (op == 0x19)
    a = a < 0 ? (intptr_t) - (uintptr_t)a : a;
  else if (op == 0x1f)
    a = (intptr_t) - (uintptr_t)a;
  else
    a = ~a;
  push(m, constant(a));
}

static void swap_or_rotate(struct machine *m, bool rotate) {
  struct rf_value first = pop(m), second = pop(m), third = rotate ? pop(m) : constant(0);
  push(m, first);
  if (rotate) push(m, third);
  push(m, second);
}

static void jump(struct machine *m, bool conditional) {
  int64_t distance = rf_take_signed(&m->code, 2);
  if (conditional && pop_number(m) == 0) return;
  if (distance > m->code.end - m->code.at || distance < m->start - m->code.at)
    m->bad = true;
  else
    m->code.at += distance;
}

static bool push_literal(struct machine *m, uint8_t op) {
  static const uint8_t sizes[] = {1, 1, 2, 2, 4, 4, 8, 8};
  if (op >= 0x30 && op <= 0x4f)
    push(m, constant(op - 0x30));
  else if (op == 0x03)
    push(m, constant((intptr_t)rf_take(&m->code, 8)));
  else if (op == 0x10)
    push(m, constant((intptr_t)rf_take_uleb(&m->code)));
  else if (op == 0x11)
    push(m, constant((intptr_t)rf_take_sleb(&m->code)));
  else if (op >= 0x08 && op <= 0x0f && op & 1)
    push(m, constant(rf_take_signed(&m->code, sizes[op - 8])));
  else if (op >= 0x08 && op <= 0x0f)
    push(m, constant((intptr_t)rf_take(&m->code, sizes[op - 8])));
  else
    return false;
  return true;
}

static void step(struct machine *m) {
  uint8_t op = (uint8_t)rf_take(&m->code, 1);
  if (push_literal(m, op)) return;
  if (op >= 0x70 && op <= 0x8f) return push_register(m, op - 0x70u, rf_take_sleb(&m->code));
  switch (op) {
  case 0x06: return load(m, 8);
  case 0x12: return pick(m, 0);
  case 0x13: pop(m); return;
  case 0x14: return pick(m, 1);
  case 0x15: return pick(m, (unsigned)rf_take(&m->code, 1));
  case 0x16: return swap_or_rotate(m, false);
  case 0x17: return swap_or_rotate(m, true);
  case 0x19:
  case 0x1f:
  case 0x20: return unary(m, op);
  case 0x1c: return minus(m);
  case 0x22: return plus(m);
  case 0x23: return add(m, pop(m), (intptr_t)rf_take_uleb(&m->code));
  case 0x28: return jump(m, true);
  case 0x2f: return jump(m, false);
  case 0x92: {
    uint64_t reg = rf_take_uleb(&m->code);
    return push_register(m, reg, rf_take_sleb(&m->code));
  }
  case 0x94: return load(m, rf_take(&m->code, 1));
  case 0x96: return;
  }
  if (op >= 0x1a && op <= 0x2e) return binary(m, op);
  m->bad = true;
}

bool rf_expression(const struct rf_expression_context *context, const uint8_t *at, const uint8_t *end,
                   struct rf_value *result) {
  struct machine m;
  m.context = context;
  m.code = (struct rf_cursor){at, end, false};
  m.start = at;
  m.depth = 0;
  m.bad = false;
  if (context->push_cfa)
    push(&m, context->registers ? constant((intptr_t)context->cfa)
                                : (struct rf_value){RF_REGISTER, RF_BASE_CFA, 0, 0});
  for (int steps = 0; m.code.at < m.code.end && !m.bad && !m.code.bad; steps++) {
    if (steps == STEPS) return false;
    step(&m);
  }
  *result = pop(&m);
  return !m.bad && !m.code.bad;
}
