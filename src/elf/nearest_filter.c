/* See nearest_filter.h. */
#include "elf/nearest_filter.h"

#include "base/memory.h"

#define LETTERS 64

/* What 64 targets allow. */
struct limits {
  uint64_t at[RF_NEAREST_LIMIT + 1]; /* by limit: the targets that have it */
};

struct word {
  uint64_t has[LETTERS]; /* by letter: the targets that have it */
  uint64_t targets;
  struct limits given, lowered;
  uint64_t begins[256]; /* by byte: the targets that begin with it and may go on */
};

struct rf_nearest_filter {
  size_t words, most;
  uint64_t used; /* letters of any target */
  struct word *word;
  uint64_t *enough, *near,
      *beyond; /* by length and word: long enough; of a length that may be near; longer */
  uint64_t *result;
};

static uint64_t *by_length(const struct rf_nearest_filter *filter) {
  return rf_calloc((filter->most + 1) * filter->words, sizeof(uint64_t));
}

struct rf_nearest_filter *rf_nearest_filter_new(size_t targets, size_t most) {
  struct rf_nearest_filter *filter = rf_calloc(1, sizeof *filter);
  if (!filter) return NULL;
  filter->words = (targets + 63) / 64;
  filter->most = most;
  filter->word = rf_calloc(filter->words, sizeof *filter->word);
  filter->enough = by_length(filter);
  filter->near = by_length(filter);
  filter->beyond = by_length(filter);
  filter->result = rf_calloc(filter->words, sizeof *filter->result);
  if (filter->word && filter->enough && filter->near && filter->beyond && filter->result) return filter;
  rf_nearest_filter_free(filter);
  return NULL;
}

void rf_nearest_filter_free(struct rf_nearest_filter *filter) {
  if (!filter) return;
  rf_free(filter->word);
  rf_free(filter->enough);
  rf_free(filter->near);
  rf_free(filter->beyond);
  rf_free(filter->result);
  rf_free(filter);
}

/* Letters by their number, digits and signs below them. */
uint64_t rf_letters_of(const char *text, size_t length) {
  uint64_t letters = 0;
  for (size_t i = 0; i < length; i++) {
    unsigned c = (unsigned char)text[i];
    letters |= UINT64_C(1) << ((c >> 1 & 32) | (c & 31));
  }
  return letters;
}

static void set_lengths(struct rf_nearest_filter *filter, size_t word, uint64_t bit,
                        const struct rf_nearest_target *target) {
  size_t limit = (size_t)target->limit;
  for (size_t length = 0; length <= filter->most; length++) {
    size_t at = length * filter->words + word;
    bool enough = length + limit >= target->length;
    if (enough) filter->enough[at] |= bit;
    if (enough && (target->open || length <= target->length + limit)) filter->near[at] |= bit;
    if (target->length >= 4 && length > target->length) filter->beyond[at] |= bit;
  }
}

void rf_nearest_filter_add(struct rf_nearest_filter *filter, size_t index,
                           const struct rf_nearest_target *target) {
  struct word *word = &filter->word[index / 64];
  uint64_t bit = UINT64_C(1) << index % 64, letters = rf_letters_of(target->text, target->length);
  if (target->length == 0) return;
  filter->used |= letters;
  word->targets |= bit;
  for (unsigned i = 0; i < LETTERS; i++)
    if (letters >> i & 1) word->has[i] |= bit;
  word->given.at[target->limit] |= bit;
  word->lowered.at[target->limit] |= bit;
  word->begins[(unsigned char)target->text[0]] |= bit;
  set_lengths(filter, index / 64, bit, target);
}

void rf_nearest_filter_lower(struct rf_nearest_filter *filter, size_t index, int limit) {
  struct limits *limits = &filter->word[index / 64].lowered;
  uint64_t bit = UINT64_C(1) << index % 64;
  if (limits->at[limit] & bit) return;
  for (int i = 0; i <= RF_NEAREST_LIMIT; i++) limits->at[i] &= ~bit;
  limits->at[limit] |= bit;
}

/* Targets that lack no more letters than they may. */
static uint64_t with_letters(const struct rf_nearest_filter *filter, const struct word *word,
                             const struct limits *limits, uint64_t letters) {
  uint64_t ones = 0, twos = 0, fours = 0, over = 0;
  for (uint64_t missing = filter->used & ~letters; missing; missing &= missing - 1) {
    uint64_t carry = word->has[__builtin_ctzll(missing)], next = ones & carry;
    ones ^= carry;
    carry = twos & next;
    twos ^= next;
    over |= fours & carry;
    fours ^= carry;
  }
  over |= limits->at[0] & (ones | twos | fours);
  over |= limits->at[1] & (twos | fours);
  over |= limits->at[2] & (fours | (twos & ones));
  over |= limits->at[3] & fours;
  over |= limits->at[4] & fours & (ones | twos);
  over |= limits->at[5] & fours & twos;
  return word->targets & ~over;
}

const uint64_t *rf_nearest_filter_name(struct rf_nearest_filter *filter, const char *name, size_t length) {
  uint64_t letters = rf_letters_of(name, length);
  const uint64_t *enough = &filter->enough[(length < filter->most ? length : filter->most) * filter->words];
  for (size_t w = 0; w < filter->words; w++)
    filter->result[w] = with_letters(filter, &filter->word[w], &filter->word[w].lowered, letters) & enough[w];
  return filter->result;
}

const uint64_t *rf_nearest_filter_component(struct rf_nearest_filter *filter, const char *name,
                                            size_t length) {
  uint64_t letters = rf_letters_of(name, length);
  const uint64_t *near = &filter->near[length * filter->words],
                 *beyond = &filter->beyond[length * filter->words];
  for (size_t w = 0; w < filter->words; w++) {
    const struct word *word = &filter->word[w];
    uint64_t possible = near[w] | (beyond[w] & word->begins[(unsigned char)name[0]]);
    filter->result[w] = possible ? possible & with_letters(filter, word, &word->given, letters) : 0;
  }
  return filter->result;
}
