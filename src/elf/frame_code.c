/*
 * See frame_code.h.
 *
 *   PT_GNU_EH_FRAME: sorted table (function, FDE) ──▶ FDE ──▶ CIE
 *
 * Only the forms that linkers write are read: a table of 4-byte distances, 32-bit lengths. Every entry must
 * lie in one readable segment as far as the file fills it, so that lying distances lead nowhere.
 */
#include "elf/frame_code.h"

#include <elf.h>
#include <string.h>

#include "arch/arch.h"
#include "elf/module.h"

enum { ENCODING_ABSOLUTE = 0x00, ENCODING_PC32 = 0x1b, ENCODING_PC64 = 0x1c, TABLE_ENCODING = 0x3b };

static uint64_t leb(struct rf_frame_bytes *from, unsigned *bits, uint8_t *last) {
  uint64_t value = 0;
  *last = 0;
  for (*bits = 0; from->at < from->end;) {
    *last = *from->at++;
    if (*bits < 64) value |= (uint64_t)(*last & 0x7f) << *bits;
    *bits += 7;
    if (!(*last & 0x80)) break;
  }
  return value;
}

uint64_t rf_frame_uleb(struct rf_frame_bytes *from) {
  unsigned bits;
  uint8_t last;
  return leb(from, &bits, &last);
}

int64_t rf_frame_sleb(struct rf_frame_bytes *from) {
  unsigned bits;
  uint8_t last;
  uint64_t value = leb(from, &bits, &last);
  if (bits < 64 && last & 0x40) value |= ~(uint64_t)0 << bits;
  return (int64_t)value;
}

static int32_t take32(struct rf_frame_bytes *from) {
  int32_t value = 0;
  if (from->end - from->at < 4)
    from->at = from->end;
  else
    memcpy(&value, from->at, sizeof value), from->at += sizeof value;
  return value;
}

/* From address to the end of the segment that holds it; empty outside of all. */
static struct rf_frame_bytes bytes_at(const struct rf_module *module, uintptr_t address) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++) {
    uintptr_t start = module->load_address + headers[i].p_vaddr;
    if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_R) ||
        address - start >= headers[i].p_filesz)
      continue;
    return (struct rf_frame_bytes){(const uint8_t *)address, (const uint8_t *)start + headers[i].p_filesz};
  }
  return (struct rf_frame_bytes){NULL, NULL};
}

static uintptr_t table_of(const struct rf_module *module) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++)
    if (headers[i].p_type == PT_GNU_EH_FRAME) return module->load_address + headers[i].p_vaddr;
  return 0;
}

/* The FDE whose function is the last to start at or before address; 0: none. */
static uintptr_t search(const struct rf_module *module, uintptr_t address) {
  uintptr_t header = table_of(module);
  struct rf_frame_bytes bytes = bytes_at(module, header);
  if (!header || bytes.end - bytes.at < 12 || bytes.at[0] != 1 || bytes.at[2] != 0x03 ||
      bytes.at[3] != TABLE_ENCODING)
    return 0;
  bytes.at += 8;
  size_t low = 0, high = (uint32_t)take32(&bytes), most = (size_t)(bytes.end - bytes.at) / 8;
  if (high > most) return 0;
  const int32_t *pairs = (const int32_t *)bytes.at;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (header + (uintptr_t)(intptr_t)pairs[2 * middle] <= address)
      low = middle + 1;
    else
      high = middle;
  }
  return low ? header + (uintptr_t)(intptr_t)pairs[2 * low - 1] : 0;
}

/* A CIE or FDE without its length. */
static bool entry_at(const struct rf_module *module, uintptr_t address, struct rf_frame_bytes *entry) {
  *entry = bytes_at(module, address);
  uint32_t length = (uint32_t)take32(entry);
  if (length < 4 || length > (size_t)(entry->end - entry->at)) return false;
  entry->end = entry->at + length;
  return true;
}

static bool skip_pointer(struct rf_frame_bytes *from, uint8_t encoding) {
  size_t bytes = (encoding & 0x0f) == 0x0b || (encoding & 0x0f) == 0x03 ? 4 : 8;
  if ((size_t)(from->end - from->at) < bytes) return false;
  from->at += bytes;
  return true;
}

static bool read_augmentation(struct rf_frame_bytes *cie, const char *letters, struct rf_frame_code *code,
                              uint8_t *encoding) {
  uint64_t bytes = rf_frame_uleb(cie);
  if (bytes > (size_t)(cie->end - cie->at)) return false;
  struct rf_frame_bytes data = {cie->at, cie->at + bytes};
  cie->at = data.end;
  for (; *letters; letters++) {
    if (*letters == 'S')
      code->signal = true;
    else if (data.at == data.end)
      return false;
    else if (*letters == 'R')
      *encoding = *data.at++;
    else if (*letters == 'L')
      data.at++;
    else if (*letters != 'P' || !skip_pointer(&data, *data.at++))
      return false;
  }
  return true;
}

static bool read_cie(const struct rf_module *module, uintptr_t address, struct rf_frame_code *code,
                     uint8_t *encoding) {
  struct rf_frame_bytes cie;
  if (!entry_at(module, address, &cie) || take32(&cie) != 0 || cie.end - cie.at < 8) return false;
  uint8_t version = *cie.at++;
  const char *letters = (const char *)cie.at;
  const uint8_t *nul = memchr(cie.at, 0, (size_t)(cie.end - cie.at));
  if (!nul || (version != 1 && version != 3) || letters[0] != 'z') return false;
  cie.at = nul + 1;
  code->code_align = rf_frame_uleb(&cie);
  code->data_align = rf_frame_sleb(&cie);
  if (rf_frame_uleb(&cie) != RF_REG_RETURN || !read_augmentation(&cie, letters + 1, code, encoding))
    return false;
  code->initial = cie;
  return true;
}

/* The range of an FDE. */
static bool read_range(struct rf_frame_bytes *fde, uint8_t encoding, uintptr_t *begin, uintptr_t *size) {
  const uint8_t *here = fde->at;
  size_t width = encoding == ENCODING_PC32 ? 4 : 8;
  if ((size_t)(fde->end - fde->at) < 2 * width) return false;
  if (width == 4) {
    int32_t distance, bytes;
    memcpy(&distance, here, 4), memcpy(&bytes, here + 4, 4);
    *begin = (uintptr_t)here + (uintptr_t)(intptr_t)distance, *size = (uint32_t)bytes;
  } else {
    memcpy(begin, here, 8), memcpy(size, here + 8, 8);
    if (encoding == ENCODING_PC64) *begin += (uintptr_t)here;
  }
  fde->at += 2 * width;
  return encoding == ENCODING_PC32 || encoding == ENCODING_PC64 || encoding == ENCODING_ABSOLUTE;
}

bool rf_frame_code_find(const struct rf_module *module, uintptr_t address, struct rf_frame_code *code) {
  struct rf_frame_bytes fde;
  uint8_t encoding = ENCODING_ABSOLUTE;
  uintptr_t where = search(module, address);
  memset(code, 0, sizeof *code);
  if (!where || !entry_at(module, where, &fde)) return false;
  uintptr_t here = (uintptr_t)fde.at;
  uint32_t back = (uint32_t)take32(&fde);
  if (!back || !read_cie(module, here - back, code, &encoding) ||
      !read_range(&fde, encoding, &code->begin, &code->size))
    return false;
  if (address - code->begin >= code->size) return false;
  uint64_t augmentation = rf_frame_uleb(&fde);
  if (augmentation > (size_t)(fde.end - fde.at)) return false;
  for (uint64_t i = 0; i < augmentation; i++)
    code->handlers |= fde.at[i] != 0; /* where a table of them lies */
  code->program = (struct rf_frame_bytes){fde.at + augmentation, fde.end};
  return true;
}
