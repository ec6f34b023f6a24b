/* See spellings.h. */
#include "elf/spellings.h"

#include <string.h>

#include "base/memory.h"
#include "elf/demangle.h"

enum { DEMANGLED, TEXT, NAME, PLAIN, FULL, WITHOUT_LAST, WITHOUT_ALL, PARAMETERS, ROOMS };

static char *room(const struct rf_spellings *spellings, size_t index) {
  return spellings->rooms + index * RF_SPELLING_ROOM;
}

static void add_name(struct rf_spellings *spellings, const char *text, size_t length) {
  size_t count = spellings->name_count;
  if (count > 0 && spellings->names[count - 1].length == length) return; /* nothing was left out */
  spellings->names[count].text = text;
  spellings->names[count].length = length;
  spellings->name_count++;
}

/* A long name of std::string is kept beside the short one: globs may mean either. */
static void derive_plain(struct rf_spellings *spellings, size_t length) {
  char *plain = room(spellings, PLAIN), *full = room(spellings, FULL);
  size_t full_length = rf_name_plain(full, spellings->text, length, true);
  memcpy(plain, full, full_length + 1);
  size_t plain_length = rf_name_shorten(plain, full_length);
  spellings->plain = plain;
  spellings->parts = rf_name_split(plain, plain_length);
  spellings->full = plain_length != full_length ? full : NULL;
  if (spellings->full) spellings->full_parts = rf_name_split(full, full_length);
}

/* From text to all other spellings. */
static void derive(struct rf_spellings *spellings, size_t length) {
  spellings->text = room(spellings, TEXT);
  size_t name = rf_name_split(spellings->text, length).name;
  memcpy(room(spellings, NAME), spellings->text, name);
  room(spellings, NAME)[name] = '\0';
  spellings->name = room(spellings, NAME);

  derive_plain(spellings, length);
  spellings->name_count = 0;
  name = spellings->parts.name;
  add_name(spellings, spellings->plain, name);
  if (!memchr(spellings->plain, '<', name)) return;
  char *last = room(spellings, WITHOUT_LAST), *all = room(spellings, WITHOUT_ALL);
  add_name(spellings, last, rf_name_without_templates(last, spellings->plain, name, false));
  add_name(spellings, all, rf_name_without_templates(all, spellings->plain, name, true));
}

bool rf_spell(struct rf_spellings *spellings, const char *symbol) {
  if (!spellings->rooms) spellings->rooms = rf_pages(ROOMS * (size_t)RF_SPELLING_ROOM);
  if (!spellings->rooms) return false;
  char *demangled = room(spellings, DEMANGLED);
  size_t length = rf_demangle(symbol, demangled, RF_SPELLING_ROOM);
  if (length == 0) return false;
  spellings->tagged = strstr(demangled, "[abi:") != NULL;
  derive(spellings, rf_name_without_tags(room(spellings, TEXT), demangled, length));
  return true;
}

void rf_spell_with_tags(struct rf_spellings *spellings) {
  size_t length = strlen(room(spellings, DEMANGLED));
  memcpy(room(spellings, TEXT), room(spellings, DEMANGLED), length + 1);
  derive(spellings, length);
}

size_t rf_spell_parameters(struct rf_spellings *spellings, size_t index, const char **text, size_t *bare) {
  const struct rf_name_parts *parts = &spellings->parts;
  if (parts->name == parts->length) return 0;
  char *out = room(spellings, PARAMETERS);
  size_t length = spellings->names[index].length;
  memcpy(out, spellings->names[index].text, length);
  memcpy(out + length, spellings->plain + parts->name, parts->length - parts->name);
  *text = out;
  *bare = length + parts->parameters - parts->name;
  return length + parts->length - parts->name;
}

void rf_spellings_release(struct rf_spellings *spellings) {
  if (spellings->rooms) rf_pages_free(spellings->rooms, ROOMS * (size_t)RF_SPELLING_ROOM);
  *spellings = (struct rf_spellings){0};
}
