/* See image.h. */
#include "elf/image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "arch/arch.h"
#include "base/memory.h"

#define COPY_LIMIT (UINT64_C(2) << 30)
#define NOTES_LIMIT 65536 /* a note segment holds a few hundred bytes */

static bool in_bounds(const struct rf_image *image, uint64_t offset, uint64_t count) {
  return offset <= image->size && count <= image->size - offset;
}

static bool pread_all(int fd, uint64_t offset, char *buffer, size_t count) {
  while (count > 0) {
    long got = rf_syscall(SYS_pread64, fd, buffer, count, offset);
    if (got == -EINTR) continue;
    if (got <= 0) return false;
    buffer += got;
    offset += (uint64_t)got;
    count -= (size_t)got;
  }
  return true;
}

bool rf_image_read(const struct rf_image *image, uint64_t offset, void *buffer, size_t count) {
  if (!in_bounds(image, offset, count)) return false;
  if (!image->bytes) return pread_all(image->fd, offset, buffer, count);
  memcpy(buffer, image->bytes + offset, count);
  return true;
}

void *rf_image_copy(const struct rf_image *image, uint64_t offset, uint64_t count, size_t *allocated) {
  if (count > COPY_LIMIT || !in_bounds(image, offset, count)) return NULL;
  size_t bytes = (size_t)count + 1;
  void *copy = rf_pages(bytes);
  if (!copy) return NULL;
  if (rf_image_read(image, offset, copy, (size_t)count)) {
    *allocated = bytes;
    return copy;
  }
  rf_pages_free(copy, bytes);
  return NULL;
}

static bool read_header(struct rf_image *image) {
  if (!rf_image_read(image, 0, &image->header, sizeof image->header)) return false;
  const Elf64_Ehdr *header = &image->header;
  return memcmp(header->e_ident, ELFMAG, SELFMAG) == 0 && header->e_ident[EI_CLASS] == ELFCLASS64 &&
         header->e_ident[EI_DATA] == (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? ELFDATA2LSB : ELFDATA2MSB);
}

/* Number of sections and index of their names; both move into the first header when they outgrow 16 bits. */
static bool section_numbers(const struct rf_image *image, uint64_t *count, uint32_t *names) {
  const Elf64_Ehdr *header = &image->header;
  *count = header->e_shnum;
  *names = header->e_shstrndx;
  if (*count != 0 && *names != SHN_XINDEX) return true;
  Elf64_Shdr first;
  if (!rf_image_read(image, header->e_shoff, &first, sizeof first)) return false;
  if (*count == 0) *count = first.sh_size;
  if (*names == SHN_XINDEX) *names = first.sh_link;
  return true;
}

/* A file without section headers is no error: it merely names nothing. */
static void read_sections(struct rf_image *image) {
  uint64_t count;
  uint32_t names;
  if (image->header.e_shoff == 0 || image->header.e_shentsize != sizeof(Elf64_Shdr)) return;
  if (!section_numbers(image, &count, &names) || count > image->size / sizeof(Elf64_Shdr)) return;
  image->sections =
      rf_image_copy(image, image->header.e_shoff, count * sizeof(Elf64_Shdr), &image->sections_bytes);
  if (!image->sections) return;
  image->section_count = (size_t)count;
  if (names >= count || image->sections[names].sh_type != SHT_STRTAB) return;
  const Elf64_Shdr *section = &image->sections[names];
  image->names = rf_image_copy(image, section->sh_offset, section->sh_size, &image->names_pages);
  image->names_bytes = image->names ? (size_t)section->sh_size : 0;
}

bool rf_image_open(struct rf_image *image, const char *path) {
  *image = (struct rf_image){
      .fd = (int)rf_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK, 0)};
  if (image->fd < 0) return false;
  struct stat status;
  if (rf_syscall(SYS_fstat, image->fd, &status) == 0 && S_ISREG(status.st_mode)) {
    image->size = (uint64_t)status.st_size;
    if (read_header(image)) {
      read_sections(image);
      return true;
    }
  }
  rf_syscall(SYS_close, image->fd);
  return false;
}

bool rf_image_wrap(struct rf_image *image, const void *bytes, size_t size, void *owned) {
  *image = (struct rf_image){.fd = -1, .bytes = bytes, .owned = owned, .size = size};
  if (!bytes || !read_header(image)) return false;
  read_sections(image);
  return true;
}

void rf_image_close(struct rf_image *image) {
  if (image->sections) rf_pages_free(image->sections, image->sections_bytes);
  if (image->names) rf_pages_free(image->names, image->names_pages);
  if (image->owned) rf_pages_free(image->owned, image->size);
  if (image->fd >= 0) rf_syscall(SYS_close, image->fd);
  *image = (struct rf_image){.fd = -1};
}

const Elf64_Shdr *rf_image_section(const struct rf_image *image, uint32_t type, const char *name) {
  for (size_t i = 0; i < image->section_count; i++) {
    const Elf64_Shdr *section = &image->sections[i];
    if (type != SHT_NULL && section->sh_type != type) continue;
    if (!name) return section;
    if (section->sh_name < image->names_bytes && strcmp(image->names + section->sh_name, name) == 0)
      return section;
  }
  return NULL;
}

static size_t round_up(size_t value, size_t alignment) { return (value + alignment - 1) & ~(alignment - 1); }

size_t rf_notes_build_id(const void *notes, size_t bytes, size_t alignment, uint8_t id[20]) {
  const uint8_t *at = notes;
  alignment = alignment == 8 ? 8 : 4;
  while (bytes >= sizeof(Elf64_Nhdr)) {
    Elf64_Nhdr note;
    memcpy(&note, at, sizeof note);
    size_t name_end = sizeof note + (size_t)note.n_namesz;
    size_t start = round_up(name_end, alignment), end = start + note.n_descsz;
    if (end > bytes) return 0;
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && memcmp(at + sizeof note, "GNU", 4) == 0) {
      size_t length = note.n_descsz < 20 ? note.n_descsz : 20;
      memcpy(id, at + start, length);
      return length;
    }
    size_t step = round_up(end, alignment);
    if (step > bytes) return 0;
    at += step;
    bytes -= step;
  }
  return 0;
}

size_t rf_image_build_id(const struct rf_image *image, uint8_t id[20]) {
  for (size_t i = 0; i < image->section_count; i++) {
    const Elf64_Shdr *section = &image->sections[i];
    if (section->sh_type != SHT_NOTE || section->sh_size > NOTES_LIMIT) continue;
    size_t allocated;
    void *notes = rf_image_copy(image, section->sh_offset, section->sh_size, &allocated);
    if (!notes) continue;
    size_t length = rf_notes_build_id(notes, (size_t)section->sh_size, (size_t)section->sh_addralign, id);
    rf_pages_free(notes, allocated);
    if (length > 0) return length;
  }
  return 0;
}
