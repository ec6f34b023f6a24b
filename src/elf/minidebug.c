/*
 * See minidebug.h. liblzma is linked in with its allocator renamed instead of opened at run time: modules
 * appear while the loader works (dlopen's callback), which is no moment to ask it for a library.
 */
#include "elf/minidebug.h"

#include <lzma.h>

#include "base/memory.h"

#define PACKED_LIMIT (UINT64_C(64) << 20)
#define UNPACKED_LIMIT ((size_t)256 << 20)
#define DECODER_MEMORY (UINT64_C(128) << 20)

static void *allocate(void *user, size_t count, size_t bytes) { return rf_calloc(count, bytes); }
static void release(void *user, void *block) { rf_free(block); }

/*
 * Decodes into a buffer that doubles until all fits; *size receives the length. Checksums are left out:
 * liblzma chooses its CRC-64 in a constructor, which runs after Refunc's own start, and whoever reads symbols
 * believes nothing anyway.
 */
static void *unpack(const uint8_t *packed, size_t packed_bytes, size_t *size) {
  static const lzma_allocator allocator = {.alloc = allocate, .free = release};
  for (size_t room = 8 * packed_bytes + 4096; room <= UNPACKED_LIMIT; room *= 2) {
    uint64_t memory = DECODER_MEMORY;
    size_t in = 0, out = 0;
    uint8_t *buffer = rf_pages(room);
    if (!buffer) return NULL;
    lzma_ret result = lzma_stream_buffer_decode(&memory, LZMA_IGNORE_CHECK, &allocator, packed, &in,
                                                packed_bytes, buffer, &out, room);
    if (result == LZMA_OK && out > 0) {
      *size = room; /* what is unmapped later; the tail is zero */
      return buffer;
    }
    rf_pages_free(buffer, room);
    if (result != LZMA_BUF_ERROR || in == packed_bytes) return NULL;
  }
  return NULL;
}

bool rf_minidebug_open(const struct rf_image *image, struct rf_image *inner) {
  const Elf64_Shdr *section = rf_image_section(image, SHT_PROGBITS, ".gnu_debugdata");
  if (!section || section->sh_size == 0 || section->sh_size > PACKED_LIMIT) return false;
  size_t packed_pages, size = 0;
  uint8_t *packed = rf_image_copy(image, section->sh_offset, section->sh_size, &packed_pages);
  if (!packed) return false;
  void *unpacked = unpack(packed, (size_t)section->sh_size, &size);
  rf_pages_free(packed, packed_pages);
  if (!unpacked) return false;
  if (rf_image_wrap(inner, unpacked, size, unpacked)) return true;
  rf_pages_free(unpacked, size);
  return false;
}
