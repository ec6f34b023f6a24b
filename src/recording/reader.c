/*
 * Reading a recording: a private copy of the file is taken, and every access to it is checked.
 *
 * A running process writes while it is copied. Publication words (table roots, chunk counts and links,
 * references from threads to slots and from slots to octaves) are stored after what they make visible, so
 * what a first copy shows as published was whole when that copy had ended. A second copy, taken after the
 * first, therefore holds all of it:
 *
 *     first copy  ──▶ publication words ──┐
 *     second copy ──▶ everything else   ──┴──▶ the snapshot
 */
#include "recording/reader.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "recording/live.h"
#include "recording/process.h"
#include "recording/raw.h"

#define SNAPSHOT_MOST (UINT64_C(1) << 30)
#define POINTER_TRIES 5
#define COPY_TRIES 5

struct rf_reader {
  char *path;
  char *bytes;
  size_t size, room; /* bytes that are the file's; bytes that were allocated */
  struct rf_header header;
  bool alive, truncated;
};

/* ---- checked access ---- */

static void found_damage(const struct rf_reader *reader) {
  if (!reader->alive) ((struct rf_reader *)(uintptr_t)reader)->truncated = true;
}

/* length bytes at ref, aligned; NULL when they are not all inside. */
static char *inside(const struct rf_reader *reader, rf_ref ref, uint64_t length, unsigned alignment) {
  if (ref < RF_HEADER_BYTES || ref % alignment || ref > reader->size || length > reader->size - ref)
    return NULL;
  return reader->bytes + ref;
}

static char *checked(const struct rf_reader *reader, rf_ref ref, uint64_t length, unsigned alignment) {
  char *place = ref ? inside(reader, ref, length, alignment) : NULL;
  if (ref && !place) found_damage(reader);
  return place;
}

const char *rf_reader_string(const struct rf_reader *reader, rf_ref ref) {
  const struct rf_string *string = (void *)checked(reader, ref, sizeof *string, 4);
  if (!string) return "";
  const char *bytes = checked(reader, ref, sizeof *string + (uint64_t)string->length + 1, 4);
  return bytes && string->bytes[string->length] == 0 ? string->bytes : "";
}

const uint64_t *rf_reader_words(const struct rf_reader *reader, rf_ref ref, size_t count) {
  if (count > SNAPSHOT_MOST / sizeof(uint64_t)) return NULL;
  return (void *)checked(reader, ref, count * sizeof(uint64_t), 8);
}

static struct rf_chunk *chunk_at(const struct rf_reader *reader, rf_ref ref, uint32_t kind) {
  struct rf_chunk *chunk = (void *)checked(reader, ref, sizeof *chunk, 8);
  if (!chunk) return NULL;
  if (chunk->kind == kind && chunk->entry_bytes && chunk->count <= chunk->capacity) return chunk;
  found_damage(reader);
  return NULL;
}

/* Entry index of a chunk, NULL when it lies outside. Indices go up to 2^32, sizes too: 64 bits hold the
 * product. */
static char *entry_at(const struct rf_reader *reader, rf_ref ref, const struct rf_chunk *chunk,
                      uint32_t index) {
  uint64_t offset = ref + sizeof *chunk + (uint64_t)index * chunk->entry_bytes;
  if (offset <= reader->size && chunk->entry_bytes <= reader->size - offset) return reader->bytes + offset;
  found_damage(reader);
  return NULL;
}

/* Chunks of one chain don't overlap, so their bytes are a budget that no honest chain exceeds and no circle
 * survives. */
struct rf_cursor rf_cursor_at(const struct rf_reader *reader, rf_ref root, enum rf_table kind) {
  return (struct rf_cursor){.reader = reader, .chunk = root, .kind = kind, .budget = reader->size};
}

static bool spend(struct rf_cursor *cursor, uint64_t bytes) {
  bool enough = cursor->budget >= bytes;
  if (enough)
    cursor->budget -= bytes;
  else
    found_damage(cursor->reader);
  return enough;
}

/* The next entry in place, with its size in *bytes; NULL at the end. */
static char *next_entry(struct rf_cursor *cursor, uint32_t *bytes) {
  while (cursor->chunk) {
    const struct rf_chunk *chunk = chunk_at(cursor->reader, cursor->chunk, cursor->kind);
    if (!chunk) break;
    if (cursor->index < chunk->count) {
      char *entry = entry_at(cursor->reader, cursor->chunk, chunk, cursor->index++);
      if (!entry || !spend(cursor, chunk->entry_bytes)) break;
      *bytes = chunk->entry_bytes;
      return entry;
    }
    if (!spend(cursor, sizeof *chunk)) break;
    cursor->chunk = chunk->next;
    cursor->index = 0;
  }
  cursor->chunk = 0;
  return NULL;
}

bool rf_cursor_next(struct rf_cursor *cursor, void *entry, size_t size) {
  uint32_t bytes;
  const char *found = next_entry(cursor, &bytes);
  if (!found) return false;
  size_t known = bytes < size ? bytes : size;
  memcpy(entry, found, known);
  memset((char *)entry + known, 0, size - known);
  return true;
}

/* ---- a consistent copy of a running process ---- */

/* What lies at the same offset of the other copy. */
static void *twin(struct rf_reader *to, const struct rf_reader *from, const void *place) {
  return to->bytes + ((const char *)place - from->bytes);
}

static void take_chain(struct rf_reader *to, const struct rf_reader *from, rf_ref root, enum rf_table kind);

/* A reference to a chain: one that begins behind the end of the first copy counts as not there yet. */
static void take_root(struct rf_reader *to, const struct rf_reader *from, const rf_ref *root,
                      enum rf_table kind) {
  bool known = *root && chunk_at(from, *root, kind);
  *(rf_ref *)twin(to, from, root) = known ? *root : 0;
  if (known) take_chain(to, from, *root, kind);
}

static void take_entry(struct rf_reader *to, const struct rf_reader *from, const char *place, uint32_t bytes,
                       enum rf_table kind) {
  if ((place - from->bytes) % 8) return; /* no writer's */
  if (kind == RF_TABLE_THREAD && bytes >= sizeof(struct rf_thread_entry)) {
    take_root(to, from, &((const struct rf_thread_entry *)(const void *)place)->slots, RF_TABLE_SLOT);
  } else if (kind == RF_TABLE_SLOT && bytes >= sizeof(struct rf_slot)) {
    const struct rf_slot *slot = (const void *)place;
    memcpy(twin(to, from, slot->octave), slot->octave, sizeof slot->octave);
  } else if (kind == RF_TABLE_SYSTEM && bytes >= sizeof(struct rf_system_entry)) {
    take_root(to, from, &((const struct rf_system_entry *)(const void *)place)->current_timeline,
              RF_TABLE_SAMPLE);
  }
}

/* The words of one chunk and of its entries; the next chunk, or 0. */
static rf_ref take_chunk(struct rf_reader *to, const struct rf_reader *from, rf_ref ref, enum rf_table kind) {
  const struct rf_chunk *chunk = chunk_at(from, ref, kind);
  struct rf_chunk *taken = twin(to, from, chunk);
  *taken = *chunk;
  if (chunk->next && !chunk_at(from, chunk->next, kind)) taken->next = 0;
  for (uint32_t i = 0; i < chunk->count; i++) {
    const char *entry = entry_at(from, ref, chunk, i);
    if (!entry) break;
    take_entry(to, from, entry, chunk->entry_bytes, kind);
  }
  return taken->next;
}

/* Everything that was published when from was copied, and nothing else, is published in to. A circle ends
 * with the budget. */
static void take_chain(struct rf_reader *to, const struct rf_reader *from, rf_ref root, enum rf_table kind) {
  uint64_t budget = from->size / sizeof(struct rf_chunk);
  for (rf_ref ref = root; ref && budget; budget--) ref = take_chunk(to, from, ref, kind);
}

/* ---- taking the copy ---- */

static int refuse(char *error, size_t size, const char *path, const char *why) {
  snprintf(error, size, "%s: %s", path, why);
  return -1;
}

/* How much of the file is worth copying. */
static uint64_t extent(const struct rf_header *header, uint64_t file_size, bool *truncated) {
  uint64_t wanted = header->used_bytes;
  if (wanted < RF_HEADER_BYTES || wanted > file_size) {
    *truncated = true;
    wanted = file_size;
  }
  return wanted < SNAPSHOT_MOST ? wanted : SNAPSHOT_MOST;
}

static void terminate_texts(struct rf_header *h) {
  h->boot_id[sizeof h->boot_id - 1] = 0;
  h->live_path[sizeof h->live_path - 1] = 0;
  h->output_path[sizeof h->output_path - 1] = 0;
  h->run_dir[sizeof h->run_dir - 1] = 0;
  h->root_dir[sizeof h->root_dir - 1] = 0;
  h->writer_version[sizeof h->writer_version - 1] = 0;
}

static void drop_copy(struct rf_reader *reader) {
  if (reader->bytes) rf_pages_free(reader->bytes, reader->room);
  reader->bytes = NULL;
}

/* How much there is to copy, by the header as it is now. */
static int measure(struct rf_reader *reader, int fd) {
  struct stat found;
  memset(&reader->header, 0, sizeof reader->header);
  rf_raw_read_at(fd, &reader->header, sizeof reader->header, 0);
  int result =
      rf_raw_stat_fd(fd, &found); /* after the header: a growing file is at least as long as that says */
  if (result < 0) return result;
  reader->truncated = false;
  reader->size = extent(&reader->header, (uint64_t)found.st_size, &reader->truncated);
  reader->room =
      reader->size > RF_HEADER_BYTES ? reader->size : RF_HEADER_BYTES; /* zero where the file is shorter */
  return 0;
}

/* One copy of the file as far as it is used; 0 or a negative errno. When the file was finished after it was
 * measured, it may be longer now: -EAGAIN. */
static int copy_once(struct rf_reader *reader, int fd) {
  int result = measure(reader, fd);
  if (result < 0) return result;
  uint32_t state = reader->header.state;
  reader->bytes = rf_pages(reader->room);
  if (!reader->bytes) return -ENOMEM;
  long got = rf_raw_read_at(fd, reader->bytes, reader->size, 0);
  if (got < 0) return (int)got;
  if ((uint64_t)got < reader->size) reader->truncated = true;
  memcpy(&reader->header, reader->bytes, sizeof reader->header);
  terminate_texts(&reader->header);
  return reader->header.state == state ? 0 : -EAGAIN;
}

static int copy_file(struct rf_reader *reader, int fd) {
  int result = copy_once(reader, fd);
  for (int tries = 1; result == -EAGAIN && tries < COPY_TRIES; tries++) {
    drop_copy(reader);
    result = copy_once(reader, fd);
  }
  return result == -EAGAIN ? 0 : result;
}

/* The second copy, with what the first one had published. */
static int settle_copy(struct rf_reader *reader, int fd) {
  struct rf_reader first = *reader;
  reader->bytes = NULL;
  int result = copy_file(reader, fd);
  if (result == 0 && reader->size < first.size) reader->truncated = true; /* somebody cut it meanwhile */
  if (result == 0 && reader->size >= first.size) {
    const struct rf_header *published = (const void *)first.bytes;
    for (int kind = 0; kind < RF_TABLE_COUNT; kind++) take_root(reader, &first, &published->root[kind], kind);
    memcpy(reader->header.root, reader->bytes + offsetof(struct rf_header, root), sizeof reader->header.root);
  }
  drop_copy(&first);
  return result;
}

static int snapshot(struct rf_reader *reader, int fd) {
  int result = copy_file(reader, fd);
  if (result < 0) return result;
  reader->alive = rf_process_writes(&reader->header);
  if (!reader->alive || (result = settle_copy(reader, fd)) < 0 || reader->header.state != RF_STATE_FINISHED)
    return result;
  drop_copy(reader); /* it ended between the copies: what it published last belongs to it as well */
  reader->alive = false;
  return copy_file(reader, fd);
}

/* ---- what kind of file it is ---- */

static int check_version(const struct rf_header *h, const char *path, char *error, size_t size) {
  if (h->version_major == RF_VERSION_MAJOR) return 0;
  char version[sizeof h->writer_version + 1] = "";
  for (size_t i = 0;
       i < sizeof h->writer_version && h->writer_version[i] > ' ' && h->writer_version[i] < 0x7f; i++)
    version[i] = h->writer_version[i];
  bool newer = h->version_major > RF_VERSION_MAJOR;
  snprintf(error, size, "%s: recording format %u.%u, this refunc (%s) reads %u.x: use %s%s", path,
           h->version_major, h->version_minor, REFUNC_VERSION, RF_VERSION_MAJOR,
           !newer     ? "an older refunc"
           : *version ? "refunc >= "
                      : "a newer refunc",
           newer ? version : "");
  return -1;
}

static int check_kind(int fd, uint64_t file_size, const char *path, char *error, size_t size) {
  struct rf_header header;
  memset(&header, 0, sizeof header);
  rf_raw_read_at(fd, &header, sizeof header, 0);
  if (file_size == 0)
    return refuse(error, size, path, "is empty: its process was killed before its first write");
  if (memcmp(header.magic, RF_MAGIC, sizeof header.magic))
    return refuse(error, size, path, "is not a recording of Refunc");
  if (file_size >= offsetof(struct rf_header, header_bytes) && check_version(&header, path, error, size) < 0)
    return -1;
  if (file_size < RF_HEADER_BYTES)
    return refuse(error, size, path, "was cut inside its header: nothing in it can be read");
  return 0;
}

static int open_regular(const char *path, uint64_t *file_size, char *error, size_t size) {
  struct stat found;
  int fd = (int)rf_syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0);
  if (fd < 0) return refuse(error, size, path, strerror(-fd));
  *file_size = rf_raw_stat_fd(fd, &found) == 0 ? (uint64_t)found.st_size : 0;
  if (S_ISREG(found.st_mode)) return fd;
  rf_raw_close(fd);
  return refuse(error, size, path, S_ISDIR(found.st_mode) ? "is a directory" : "is not a regular file");
}

/* ---- from the output file to the live copy ---- */

/* Only this user's files are believed, and root's reader believes their owner. */
static int open_live_copy(const struct rf_header *pointer) {
  uint32_t uid = (uint32_t)rf_syscall(SYS_geteuid);
  if (!pointer->live_path[0] || (uid != 0 && uid != pointer->uid) || !rf_process_comparable(pointer))
    return -ENOENT;
  return rf_live_open(pointer->live_path, O_RDONLY, pointer->uid, pointer->live_dev, pointer->live_inode);
}

static bool follow(struct rf_reader *reader) {
  struct rf_reader live = {.path = reader->path};
  struct rf_header header;
  int fd = open_live_copy(&reader->header);
  if (fd < 0) return false;
  bool good =
      rf_live_header(fd, &header) == 0 && rf_live_same(&header, &reader->header) && snapshot(&live, fd) == 0;
  rf_raw_close(fd);
  drop_copy(good ? reader : &live);
  if (good) *reader = live;
  return good;
}

/* One look: -1 with error set, 0 done, 1 the copy it points to is out of reach. */
static int look(struct rf_reader *reader, char *error, size_t size) {
  uint64_t file_size;
  int fd = open_regular(reader->path, &file_size, error, size);
  if (fd < 0) return -1;
  int result = check_kind(fd, file_size, reader->path, error, size);
  if (result == 0 && (result = snapshot(reader, fd)) < 0)
    result = refuse(error, size, reader->path, strerror(-result));
  rf_raw_close(fd);
  if (result < 0) return -1;
  return reader->header.state != RF_STATE_POINTER || follow(reader) ? 0 : 1;
}

/* A process that ends between the two opens has finished its output by then: look again. Where the copy stays
 * out of reach, the output itself is what there is. */
static bool load(struct rf_reader *reader, char *error, size_t size) {
  for (int tries = 1;; tries++) {
    int result = look(reader, error, size);
    if (result < 0) return false;
    if (result == 0) return true;
    if (tries >= (reader->alive ? POINTER_TRIES : 2)) break;
    drop_copy(reader);
  }
  reader->header.state = RF_STATE_LIVE;
  return true;
}

struct rf_reader *rf_reader_open(const char *path, char *error, size_t error_bytes) {
  if (error_bytes) error[0] = 0;
  struct rf_reader *reader = rf_calloc(1, sizeof *reader);
  if (!reader || !(reader->path = rf_strdup(path))) {
    refuse(error, error_bytes, path, "no memory");
  } else if (load(reader, error, error_bytes)) {
    return reader;
  }
  rf_reader_close(reader);
  return NULL;
}

void rf_reader_close(struct rf_reader *reader) {
  if (!reader) return;
  drop_copy(reader);
  rf_free(reader->path);
  rf_free(reader);
}

const struct rf_header *rf_reader_header(const struct rf_reader *reader) { return &reader->header; }
bool rf_reader_alive(const struct rf_reader *reader) { return reader->alive; }
bool rf_reader_truncated(const struct rf_reader *reader) { return reader->truncated; }
const char *rf_reader_path(const struct rf_reader *reader) { return reader->path; }
