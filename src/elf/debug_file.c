/* See debug_file.h. */
#include "elf/debug_file.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define DEBUG_ROOT "/usr/lib/debug"
#define PATH_BYTES 4096
#define NAME_BYTES 256

/* CRC-32 as zlib has it, four bits at a time: about 300 MB/s, for files without a build id only. */
static uint32_t crc32_add(uint32_t crc, const uint8_t *bytes, size_t count) {
  static const uint32_t table[16] = {
      0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
      0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
  };
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    crc = table[crc & 15] ^ (crc >> 4);
    crc = table[crc & 15] ^ (crc >> 4);
  }
  return crc;
}

static bool crc_matches(const struct rf_image *image, uint32_t expected) {
  uint8_t buffer[4096];
  uint32_t crc = 0xffffffff;
  for (uint64_t at = 0; at < image->size;) {
    size_t count = image->size - at < sizeof buffer ? (size_t)(image->size - at) : sizeof buffer;
    if (!rf_image_read(image, at, buffer, count)) return false;
    crc = crc32_add(crc, buffer, count);
    at += count;
  }
  return ~crc == expected;
}

static bool same_build_id(const struct rf_module *module, const struct rf_image *image, bool *both) {
  uint8_t id[20];
  size_t bytes = rf_image_build_id(image, id);
  *both = bytes > 0 && module->build_id_bytes > 0;
  return *both && bytes == module->build_id_bytes && memcmp(id, module->build_id, bytes) == 0;
}

static bool open_by_build_id(const struct rf_module *module, struct rf_image *debug) {
  char path[sizeof DEBUG_ROOT + 64] = DEBUG_ROOT "/.build-id/";
  static const char digits[] = "0123456789abcdef";
  if (module->build_id_bytes < 2) return false;
  char *at = path + strlen(path);
  for (uint32_t i = 0; i < module->build_id_bytes; i++) {
    *at++ = digits[module->build_id[i] >> 4];
    *at++ = digits[module->build_id[i] & 15];
    if (i == 0) *at++ = '/';
  }
  memcpy(at, ".debug", sizeof ".debug");
  if (!rf_image_open(debug, path)) return false;
  bool both;
  if (same_build_id(module, debug, &both)) return true;
  rf_image_close(debug);
  return false;
}

/* .gnu_debuglink: a file name, zero bytes up to a multiple of four, the CRC of the file. */
static bool read_link(const struct rf_image *stripped, char name[NAME_BYTES], uint32_t *crc) {
  const Elf64_Shdr *section = rf_image_section(stripped, SHT_PROGBITS, ".gnu_debuglink");
  if (!section || section->sh_size < 8 || section->sh_size > NAME_BYTES) return false;
  if (!rf_image_read(stripped, section->sh_offset, name, (size_t)section->sh_size)) return false;
  size_t length = strnlen(name, (size_t)section->sh_size);
  size_t crc_at = (length + 4) & ~(size_t)3;
  if (length == 0 || crc_at + sizeof *crc > section->sh_size || strchr(name, '/')) return false;
  memcpy(crc, name + crc_at, sizeof *crc);
  return true;
}

static bool open_checked(const struct rf_module *module, const char *path, uint32_t crc,
                         struct rf_image *debug) {
  if (!rf_image_open(debug, path)) return false;
  bool both;
  if (same_build_id(module, debug, &both) || (!both && crc_matches(debug, crc))) return true;
  rf_image_close(debug);
  return false;
}

static bool open_by_link(const struct rf_module *module, const struct rf_image *stripped,
                         struct rf_image *debug) {
  static const char *const forms[] = {"%.*s%s", "%.*s.debug/%s", DEBUG_ROOT "%.*s%s"};
  char name[NAME_BYTES], path[PATH_BYTES];
  uint32_t crc;
  if (!read_link(stripped, name, &crc)) return false;
  const char *slash = strrchr(module->path, '/');
  int folder = slash ? (int)(slash + 1 - module->path) : 0; /* with its slash */
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    int length = snprintf(path, sizeof path, forms[i], folder, module->path, name);
    if (length <= 0 || (size_t)length >= sizeof path || strcmp(path, module->path) == 0) continue;
    if (open_checked(module, path, crc, debug)) return true;
  }
  return false;
}

bool rf_debug_file_open(const struct rf_module *module, const struct rf_image *stripped,
                        struct rf_image *debug) {
  return open_by_build_id(module, debug) || open_by_link(module, stripped, debug);
}
