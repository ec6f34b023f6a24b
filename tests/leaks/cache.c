/* A cache that only grows, and lives on: no leak. What one key's value is replaced by is. */
#include "leaks.h"

enum { BUCKETS = 64, KEYS = 2000 };
struct entry {
  struct entry *next;
  unsigned key;
  char *value;
};

ALLOCATES(kept_entry)
ALLOCATES(kept_value)
ALLOCATES(lost_value)

struct entry **table;

NOINLINE static struct entry *look_up(unsigned key) {
  struct entry **bucket = &table[key % BUCKETS], *entry = *bucket;
  while (entry && entry->key != key) entry = entry->next;
  if (entry) return entry;
  entry = kept_entry(sizeof *entry);
  *entry = (struct entry){*bucket, key, NULL};
  return *bucket = entry;
}

int main(void) {
  table = kept_entry(BUCKETS * sizeof *table);
  for (unsigned key = 0; key < KEYS; key++) {
    struct entry *entry = look_up(key);
    if (key % 100 == 0) entry->value = lost_value(80);
    entry->value = kept_value(80);
  }
  clear_stack();
  lost("lost_value", KEYS / 100);
  exit(0);
}
