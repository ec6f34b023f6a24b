/*
 * The bytes of an ELF file, from a descriptor or from memory, that are never trusted: every offset, size and
 * index in them may lie. Files are read by pread into private pages instead of being mapped, so that a file
 * cut short meanwhile gives short reads and no SIGBUS in somebody else's process.
 */
#pragma once

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct rf_image {
  int fd;               /* -1: the bytes lie in memory */
  const uint8_t *bytes; /* NULL: read from fd */
  void *owned;          /* pages behind bytes that closing frees, or NULL */
  uint64_t size;
  Elf64_Ehdr header;
  Elf64_Shdr *sections; /* a copy */
  size_t section_count;
  char *names; /* section names, terminated; NULL: none */
  size_t names_bytes;
  size_t sections_bytes, names_pages; /* sizes of the two allocations */
};

/* Opens a file, or takes bytes in memory, as a 64-bit ELF image of this machine's byte order. False: it is
 * none, or cannot be read; then there is nothing to close. Raw system calls only: errno is kept. */
bool rf_image_open(struct rf_image *image, const char *path);
bool rf_image_wrap(struct rf_image *image, const void *bytes, size_t size, void *owned);
void rf_image_close(struct rf_image *image);

/* Copies exactly count bytes at offset; false when the image does not have them. */
bool rf_image_read(const struct rf_image *image, uint64_t offset, void *buffer, size_t count);

/* A private copy of count bytes at offset followed by at least one zero byte, to be given back with
 * rf_pages_free(copy, *allocated); NULL: out of the image, over 2 GB, or no memory. */
void *rf_image_copy(const struct rf_image *image, uint64_t offset, uint64_t count, size_t *allocated);

/* The first section of a type (SHT_NULL: any) and name (NULL: any), or NULL. */
const Elf64_Shdr *rf_image_section(const struct rf_image *image, uint32_t type, const char *name);

/* Copies up to 20 bytes of the build id that the image's notes hold; returns how many, 0: none. */
size_t rf_image_build_id(const struct rf_image *image, uint8_t id[20]);

/* Finds the build id among notes (the contents of a note segment or section). alignment: the segment's. */
size_t rf_notes_build_id(const void *notes, size_t bytes, size_t alignment, uint8_t id[20]);
