/*
 * Spelling help: the known name with the fewest edits (insert, delete, replace, swap of neighbours) from a
 * wrong one, when that is at most a third of its length; of equals the one with the longest common beginning.
 * Three rows of the usual table; names beyond 63 bytes are compared by their first 63.
 */
#include <string.h>

#include "base/options.h"

#define LONGEST 63

static unsigned least(unsigned a, unsigned b) { return a < b ? a : b; }

static unsigned edits(const char *a, size_t a_length, const char *b, size_t b_length) {
  unsigned char rows[3][LONGEST + 1];
  for (size_t j = 0; j <= b_length; j++) rows[0][j] = (unsigned char)j;
  for (size_t i = 1; i <= a_length; i++) {
    unsigned char *now = rows[i % 3], *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];
    now[0] = (unsigned char)i;
    for (size_t j = 1; j <= b_length; j++) {
      unsigned best = before[j - 1] + (a[i - 1] != b[j - 1]);
      best = least(best, least(before[j], now[j - 1]) + 1u);
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        best = least(best, earlier[j - 2] + 1u);
      now[j] = (unsigned char)best;
    }
  }
  return rows[a_length % 3][b_length];
}

/* Length of the common beginning. */
static size_t shared(const char *a, const char *b) {
  size_t n = 0;
  while (a[n] && a[n] == b[n]) n++;
  return n;
}

const char *rf_nearest(const char *name, const char *const *names, size_t count) {
  size_t length = strnlen(name, LONGEST);
  unsigned best = (unsigned)(length + 2) / 3 + 1; /* too far by one */
  const char *nearest = NULL;
  for (size_t i = 0; i < count; i++) {
    size_t other = strnlen(names[i], LONGEST);
    if ((other > length ? other - length : length - other) > best) continue;
    unsigned distance = edits(name, length, names[i], other);
    if (distance > best || distance >= other) continue;
    if (distance == best && (!nearest || shared(name, names[i]) <= shared(name, nearest))) continue;
    best = distance;
    nearest = names[i];
  }
  return nearest;
}
