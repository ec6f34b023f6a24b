/* The library's own string functions against libc's, at every alignment, up to the end of a page behind which
 * there is none. */
#include <criterion/criterion.h>
#include <string.h>
#include <sys/mman.h>

static size_t libc_strlen(const char *text) { return strlen(text); }
static char *libc_strchr(const char *text, int byte) { return strchr(text, byte); }
static void *libc_memchr(const void *block, int byte, size_t count) { return memchr(block, byte, count); }

#define memcpy own_memcpy
#define memset own_memset
#define memmove own_memmove
#define memcmp own_memcmp
#define strlen own_strlen
#define strcmp own_strcmp
#define strncmp own_strncmp
#define strchr own_strchr
#define strrchr own_strrchr
#define memchr own_memchr
#undef HIDDEN
#include "../../src/arch/x86_64/string.c"

enum { PAGE = 4096, MOST = 40 };

static char *page_end(void) {
  char *pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  cr_assert(pages != MAP_FAILED && mprotect(pages + PAGE, PAGE, PROT_NONE) == 0);
  return pages + PAGE;
}

/* A text of length bytes that ends in front of end, from few different bytes: many of them nearly match. */
static char *draw(char *end, size_t length) {
  static const char bytes[] = {'@', 'A', '?', '\x01', '\x80', '\x81', '\xff', '\xc0'};
  char *text = end - length - 1;
  for (size_t i = 0; i < length; i++) text[i] = bytes[rand() % 8];
  text[length] = '\0';
  return text;
}

Test(string, as_libc_has_them) {
  char *end = page_end();
  srand(1);
  for (int round = 0; round < 2000; round++)
    for (size_t length = 0; length < MOST; length++) {
      char *text = draw(end - rand() % 9, length);
      int byte = "@A\x80\x01q"[rand() % 5];
      cr_assert_eq(own_strlen(text), libc_strlen(text));
      cr_assert_eq(own_strchr(text, byte), libc_strchr(text, byte));
      cr_assert_eq(own_strchr(text, 0), text + length);
      cr_assert_eq(own_memchr(text, byte, length), libc_memchr(text, byte, length));
    }
}
