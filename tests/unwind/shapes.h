/*
 * Functions whose frames look as differently as compilers and people make them. Each calls the next one,
 * chosen at random, so that a program's stacks are drawn from all sequences of shapes.
 */
#pragma once

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct draw {
  uint64_t state;
  void (*visit)(struct draw *draw); /* looks at the stack */
  long sink;                        /* keeps values alive across calls */
  int wide;                         /* shapes of the whole list, else of the usual ones */
  int record;                       /* of shape_entry's records */
};

typedef long shape(struct draw *draw, int depth);

/* Calls the next shape, or visits when depth is used up; visits now and then on the way too. */
long shapes_next(struct draw *draw, int depth);
uint64_t shapes_random(struct draw *draw);

extern shape *const shapes_c[], *const shapes_cpp[];
extern const unsigned shapes_c_count, shapes_cpp_count;
enum { SHAPES_C_WIDE = 3, SHAPES_CPP_WIDE = 2 }; /* the last ones: only where draw.wide is set */

/* shapes_asm.S */
shape shape_pushes_anywhere, shape_expression, shape_entry, shape_frame_pointer_only, shape_cfa_in_r12,
    shape_far;
long shape_switch(struct draw *draw, int depth, void *stack_top);
/* shapes_module.c */
shape shape_in_module;
/* shapes_library.c, through the procedure linkage table */
shape shape_library;
long shapes_library_add(long a, long b);
/* shapes_asm.S: breakpoints that switch single-stepping on and off */
void shapes_breakpoint(void);

#ifdef __cplusplus
}
#endif
