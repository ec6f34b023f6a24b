/* See edits.h. */
#include "elf/edits.h"

#include <string.h>

void rf_edits_prepare(struct rf_edits *edits, const char *target, size_t length, bool open_start,
                      bool open_end) {
  *edits = (struct rf_edits){.length = length, .open_start = open_start, .open_end = open_end};
  for (size_t i = 0; i < length; i++) {
    unsigned char c = (unsigned char)target[i];
    edits->has[c] |= UINT64_C(1) << i;
    if (c >= 'a' && c <= 'z') edits->has[c - 32] |= UINT64_C(1) << i;
  }
}

int rf_edits_to(const struct rf_edits *edits, const char *text, size_t length) {
  uint64_t more = ~UINT64_C(0), less = 0, last = UINT64_C(1) << (edits->length - 1);
  int distance = (int)edits->length, best = distance;
  for (size_t t = 0; t < length; t++) {
    uint64_t equal = edits->has[(unsigned char)text[t]], down = equal | less;
    uint64_t across = (((equal & more) + more) ^ more) | equal;
    uint64_t grows = less | ~(across | more), shrinks = more & across;
    distance += ((grows & last) != 0) - ((shrinks & last) != 0);
    if (distance < best) best = distance;
    grows = grows << 1 | !edits->open_start;
    shrinks <<= 1;
    more = shrinks | ~(down | grows);
    less = grows & down;
  }
  return edits->open_end ? best : distance;
}
