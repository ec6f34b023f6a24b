/* See compose.h. */
#include "recording/compose.h"

#include <errno.h>

#include "arch/arch.h"

struct rf_text rf_text_in(char *buffer, size_t size) {
  if (size) buffer[0] = 0;
  return (struct rf_text){buffer, size, 0, size == 0};
}

void rf_text_char(struct rf_text *text, char c) {
  if (text->length + 1 >= text->size) {
    text->overflow = true;
    return;
  }
  text->bytes[text->length++] = c;
  text->bytes[text->length] = 0;
}

void rf_text_put(struct rf_text *text, const char *more) {
  for (; more && *more && !text->overflow; more++) rf_text_char(text, *more);
}

void rf_text_padded(struct rf_text *text, uint64_t value, unsigned digits) {
  char reversed[20];
  unsigned count = 0;
  do reversed[count++] = (char)('0' + value % 10);
  while ((value /= 10) != 0);
  for (; digits > count; digits--) rf_text_char(text, '0');
  while (count) rf_text_char(text, reversed[--count]);
}

void rf_text_number(struct rf_text *text, uint64_t value) { rf_text_padded(text, value, 1); }

size_t rf_text_length(const char *text) {
  size_t length = 0;
  for (; text[length]; length++) rf_plain_loop();
  return length;
}

bool rf_text_equal(const char *a, const char *b) {
  for (; *a && *a == *b; a++, b++) rf_plain_loop();
  return *a == *b;
}

bool rf_text_copy(char *to, size_t size, const char *from) {
  struct rf_text text = rf_text_in(to, size);
  rf_text_put(&text, from);
  return !text.overflow;
}

uint64_t rf_text_parse(const char **at) {
  uint64_t value = 0;
  for (; **at >= '0' && **at <= '9'; ++*at)
    if (__builtin_mul_overflow(value, 10, &value) ||
        __builtin_add_overflow(value, (uint64_t)(**at - '0'), &value))
      value = UINT64_MAX;
  return value;
}

const char *rf_text_last(const char *text, char c) {
  const char *last = NULL;
  for (; *text; text++)
    if (*text == c) last = text;
  return last;
}

const char *rf_error_text(long error) {
  switch (error < 0 ? -error : error) {
  case ENOSPC: return "no space left";
  case EDQUOT: return "the disk quota is used up";
  case EFBIG: return "the limit on file sizes (RLIMIT_FSIZE) is in the way";
  case EACCES:
  case EPERM: return "permission denied";
  case EROFS: return "the file system is read-only";
  case ENOENT: return "no such file or directory";
  case ENOTDIR: return "a part of the path is not a directory";
  case ELOOP: return "it is a symbolic link";
  case EISDIR: return "it is a directory";
  case ENAMETOOLONG: return "the name is too long";
  case EMFILE:
  case ENFILE: return "no file descriptor left";
  case ENOMEM: return "no memory";
  case EEXIST: return "too many files of that name";
  case ESTALE: return "the file was replaced by another";
  case EIO: return "an input/output error";
  default: return "the system refused";
  }
}
