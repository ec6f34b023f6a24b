/*
 * Creating and growing the recording.
 *
 *     reserved address space (1 GB, PROT_NONE) ─────────────────────────────────────────────┐
 *     │ header │ handed out by atomic adds ──▶ used │ backed, zero │        nothing yet       │
 *     └────────┴───────────────────────────────────┴──── mapped ──┴──────────────────────────┘
 *
 * Each step of growth is first allocated in the file (fallocate), then mapped over the reservation, then
 * announced in reserved_bytes: a full disk or tmpfs refuses the step instead of killing the app with SIGBUS
 * at a later store. No descriptor is kept: the app may close or reuse any number. The file is reopened by
 * path, and its device and inode are compared.
 */
#include "recording/writer.h"

#include "base/far.h"
#include "base/log.h"
#include "recording/compose.h"
#include "recording/inner.h"
#include "recording/live.h"
#include "recording/place.h"
#include "recording/process.h"
#include "recording/raw.h"

#include <linux/magic.h>

#define RESERVE_MOST (UINT64_C(1) << 30)
#define RESERVE_LEAST (UINT64_C(4) << 20)
#define STEP_FIRST (UINT64_C(256) << 10)
#define STEP_LEAST (UINT64_C(64) << 10) /* a smaller recording is not worth having */
#define STEP_MOST (UINT64_C(4) << 20)
#define NAMES_TRIED 9999u

static struct rf_recording *self; /* survives forks; its pages are wiped there */

struct rf_recording *rf_recording_inner(void) {
  return self;
}

/* ---- address space ---- */

static uint64_t at_most(uint64_t a, uint64_t b) { return a < b ? a : b; }
static uint64_t round_up(uint64_t value, uint64_t to) { return (value + to - 1) & ~(to - 1); }

/* A limit on the app's address space is the app's: of it, a sixteenth at most. */
static bool reserve_space(struct rf_recording *r) {
  uint64_t allowed = rf_raw_limit(RLIMIT_AS) / 16;
  for (uint64_t size = RESERVE_MOST; size >= RESERVE_LEAST; size /= 2) {
    if (size > allowed && size > RESERVE_LEAST) continue;
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = rf_raw_map((void *)rf_far_hint(96), size, PROT_NONE, flags, -1, 0);
    if (!at) continue;
    rf_raw_advise(at, size, MADV_DONTFORK);
    rf_raw_advise(at, size, MADV_DONTDUMP);
    r->space = at;
    r->reserved = size;
    return true;
  }
  return false;
}

static void *private_pages(uint64_t bytes, int advice) {
  void *at =
      rf_raw_map(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at) rf_raw_advise(at, bytes, advice);
  return at;
}

/* Allocates [mapped, mapped + step) in the file: never past RLIMIT_FSIZE, whose signal kills. */
static int allocate_step(struct rf_recording *r, int fd, uint64_t step) {
  if (r->mapped + step > rf_raw_limit(RLIMIT_FSIZE)) return -EFBIG;
  long result;
  do result = rf_syscall(SYS_fallocate, fd, 0, r->mapped, step);
  while (result == -EINTR);
  return (int)result;
}

static int map_step(struct rf_recording *r, int fd, uint64_t step) {
  int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
  char *at = r->space + r->mapped;
  if (!rf_raw_map(at, step, PROT_READ | PROT_WRITE, flags, fd, fd < 0 ? 0 : r->mapped)) return -ENOMEM;
  rf_raw_advise(at, step, MADV_DONTFORK);
  rf_raw_advise(at, step, MADV_DONTDUMP);
  r->mapped += step;
  return 0;
}

/* fd -1: anonymous memory. */
static int back_step(struct rf_recording *r, int fd, uint64_t step) {
  int result = fd < 0 ? 0 : allocate_step(r, fd, step);
  return result < 0 ? result : map_step(r, fd, step);
}

/* ---- growth ---- */

/* How much of a tmpfs may be taken: a quarter of what is free. 0: not a tmpfs, or full. */
static uint64_t tmpfs_share(int fd) {
  struct statfs fs;
  if (rf_syscall(SYS_fstatfs, fd, &fs) < 0) return 0;
  if (fs.f_type != TMPFS_MAGIC && fs.f_type != RAMFS_MAGIC) return 0;
  uint64_t unlimited = fs.f_blocks == 0 ? RESERVE_MOST : 0; /* size=0 and ramfs tell nothing */
  uint64_t share = unlimited ? unlimited : (uint64_t)fs.f_bavail * (uint64_t)fs.f_bsize / 4;
  return share & ~(uint64_t)(RF_PAGE - 1);
}

static int reopen_backing(const struct rf_recording *r) {
  bool live = r->backing == RF_BACKING_LIVE;
  return rf_live_open(live ? r->live_path : r->output_path, O_RDWR, r->uid,
                      live ? r->live_dev : r->output_dev, live ? r->live_inode : r->output_inode);
}

/* The file doubles, by STEP_MOST at most, and by a quarter of what its tmpfs has left; when that is refused,
 * what is needed alone. */
static int grow_file(struct rf_recording *r, int fd, uint64_t least) {
  uint64_t step = at_most(r->mapped, STEP_MOST);
  if (step < least) step = least;
  step = at_most(step, r->cap - r->mapped);
  if (r->backing == RF_BACKING_LIVE) step = at_most(step, tmpfs_share(fd));
  if (step < least) return -ENOSPC;
  int result = back_step(r, fd, step);
  return result < 0 && step > least ? back_step(r, fd, least) : result;
}

static int grow_locked(struct rf_recording *r, uint64_t needed) {
  int fd = -1;
  if (r->backing != RF_BACKING_ANONYMOUS && (fd = reopen_backing(r)) < 0) return fd;
  int result = grow_file(r, fd, round_up(needed - r->mapped, RF_PAGE));
  if (fd >= 0) rf_raw_close(fd);
  return result;
}

/* Whether there is room up to needed now. Signals are blocked while the lock is held, so no handler waits for
 * it on the thread that holds it. */
static bool grow(struct rf_recording *r, uint64_t needed) {
  if (needed > r->cap || r->exhausted || r->sealed || r->finished) return false;
  uint64_t signals = rf_raw_signals_block();
  rf_lock_take(&r->grow_lock);
  if (r->mapped < needed) {
    if (grow_locked(r, needed) < 0) r->exhausted = 1;
    struct rf_header *header = (struct rf_header *)r->base;
    __atomic_store_n(&header->reserved_bytes, r->mapped, __ATOMIC_RELEASE);
  }
  bool enough = r->mapped >= needed;
  rf_lock_give(&r->grow_lock);
  rf_raw_signals_restore(signals);
  return enough;
}

void rf_recording_grow_ahead(struct rf_recording *r) {
  struct rf_header *header = (struct rf_header *)r->base;
  uint64_t used = __atomic_load_n(&header->used_bytes, __ATOMIC_RELAXED);
  r->exhausted = 0;
  if (used > r->mapped - r->mapped / 4 && r->mapped < r->cap) grow(r, r->mapped + RF_PAGE);
}

void rf_recording_seal(void) {
  if (!rf_recording_header()) return;
  rf_recording_grow_ahead(self);
  self->sealed = 1;
  uint64_t signals = rf_raw_signals_block();
  rf_lock_take(&self->grow_lock); /* whoever is growing just now */
  rf_lock_give(&self->grow_lock);
  rf_raw_signals_restore(signals);
}

/* ---- creating ---- */

void rf_recording_complain(const char *what, const char *path, const char *reason, const char *rest) {
  char message[1400];
  struct rf_text text = rf_text_in(message, sizeof message);
  const char *const parts[] = {what, " ", path, ": ", reason, rest};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) rf_text_put(&text, parts[i]);
  rf_log_plain(RF_LOG_WARN, message);
}

/* The output file, empty; where the name is taken, ".2", ".3", ... before the ending. A descriptor or a
 * negative errno. */
static int create_output(struct rf_recording *r, const char *wanted, unsigned folder_mode) {
  bool made_parents = false;
  for (unsigned number = 1; number <= NAMES_TRIED; number++) {
    if (!rf_place_numbered(r->output_path, sizeof r->output_path, wanted, number)) return -ENAMETOOLONG;
    int fd = rf_raw_open(r->output_path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd == -ENOENT && !made_parents) {
      made_parents = true;
      rf_place_make_parents(r->output_path, folder_mode);
      fd = rf_raw_open(r->output_path, O_RDWR | O_CREAT | O_EXCL, 0600);
    }
    if (fd != -EEXIST && fd != -ELOOP) return fd;
  }
  return -EEXIST;
}

static int open_output(struct rf_recording *r, const struct rf_recording_plan *plan) {
  const char *wanted = plan->output_path;
  if (!wanted) return -1;
  struct stat found;
  int fd = create_output(r, wanted, plan->run_dir ? 0700 : 0777); /* a run's folder is private */
  if (fd >= 0 && rf_raw_stat_fd(fd, &found) == 0) {
    rf_syscall(SYS_fchmod, fd, 0600); /* whatever the umask */
    r->output_dev = found.st_dev;
    r->output_inode = found.st_ino;
    return fd;
  }
  rf_recording_complain("cannot create", wanted, rf_error_text(fd), "; the recording stays in memory");
  r->output_path[0] = 0;
  return -1;
}

/* Not of a process in another container that shares the directory and happens to have the same numbers. */
static bool left_by_earlier_image(const struct rf_recording *r) {
  struct rf_header header;
  int fd = rf_live_open(r->live_path, O_RDONLY, r->uid, 0, 0);
  if (fd < 0) return false;
  int result = rf_live_header(fd, &header);
  rf_raw_close(fd);
  return result < 0 || rf_process_comparable(&header);
}

/* A file of that name is the recording of this process's previous image (exec keeps pid and start time):
 * settle it. */
static int create_live_file(struct rf_recording *r) {
  int fd = rf_raw_open(r->live_path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd != -EEXIST || !left_by_earlier_image(r)) return fd;
  rf_live_settle(r->live_path, r->uid, RF_EXIT_EXECED);
  return rf_raw_open(r->live_path, O_RDWR | O_CREAT | O_EXCL, 0600);
}

static bool back_first(struct rf_recording *r, int fd, uint64_t cap) {
  r->cap = at_most(cap, r->reserved);
  uint64_t step = at_most(r->cap, STEP_FIRST);
  return back_step(r, fd, step) == 0 || (step > STEP_LEAST && back_step(r, fd, STEP_LEAST) == 0);
}

static bool try_live(struct rf_recording *r, const char *dir, const struct rf_process *process) {
  if (!dir || !dir[0] ||
      !rf_live_name(r->live_path, sizeof r->live_path, dir, r->uid, r->pid, process->start_ticks))
    return false;
  int fd = create_live_file(r);
  if (fd < 0) return false;
  struct stat found;
  uint64_t share = tmpfs_share(fd);
  rf_syscall(SYS_fchmod, fd, 0600);
  bool good = share >= STEP_LEAST && rf_raw_stat_fd(fd, &found) == 0 && back_first(r, fd, share);
  if (good) {
    r->backing = RF_BACKING_LIVE;
    r->live_dev = found.st_dev;
    r->live_inode = found.st_ino;
  } else {
    rf_raw_unlink(r->live_path);
  }
  rf_raw_close(fd);
  return good;
}

static bool choose_backing(struct rf_recording *r, const struct rf_recording_plan *plan, int output,
                           const struct rf_process *process) {
  if (try_live(r, plan->live_dir ? plan->live_dir : RF_LIVE_DIR, process)) return true;
  if (try_live(r, plan->runtime_dir, process)) return true;
  r->live_path[0] = 0;
  r->backing = RF_BACKING_OUTPUT;
  if (output >= 0 && back_first(r, output, RESERVE_MOST)) return true;
  r->backing = RF_BACKING_ANONYMOUS;
  return back_first(r, -1, RESERVE_MOST);
}

static void fill_identity(struct rf_header *h, const struct rf_recording *r,
                          const struct rf_process *process) {
  h->version_major = RF_VERSION_MAJOR;
  h->version_minor = RF_VERSION_MINOR;
  h->header_bytes = RF_HEADER_BYTES;
  h->reserved_bytes = r->mapped;
  h->used_bytes = RF_HEADER_BYTES;
  h->state = RF_STATE_LIVE;
  h->pid = process->pid;
  h->ppid = process->parent ? process->parent : (uint32_t)rf_syscall(SYS_getppid);
  h->uid = r->uid;
  h->pid_start_ticks = process->start_ticks;
  rf_process_boot_id(h->boot_id);
  h->pid_namespace = rf_process_pid_namespace();
  rf_text_copy(h->writer_version, sizeof h->writer_version, REFUNC_VERSION);
}

static void fill_times(struct rf_header *h) {
  h->start_realtime_ns = rf_raw_clock(CLOCK_REALTIME);
  h->start_monotonic_ns = h->last_write_monotonic_ns = rf_raw_clock(CLOCK_MONOTONIC);
  h->monotonic_offset_ns = rf_process_time_offsets().monotonic_ns;
  h->start_cycles = rf_cycles();
}

/* The magic goes in last: whoever finds it finds a whole header. */
static void fill_header(const struct rf_recording *r, const struct rf_recording_plan *plan,
                        const struct rf_process *process) {
  struct rf_header *h = (struct rf_header *)(void *)r->space;
  fill_identity(h, r, process);
  fill_times(h);
  h->is_root = plan->is_root;
  h->root_pid = plan->root_pid ? plan->root_pid : process->pid;
  rf_text_copy(h->live_path, sizeof h->live_path, r->live_path);
  h->live_dev = r->live_dev;
  h->live_inode = r->live_inode;
  rf_text_copy(h->output_path, sizeof h->output_path, r->output_path);
  rf_text_copy(h->run_dir, sizeof h->run_dir, plan->run_dir ? plan->run_dir : "");
  rf_text_copy(h->root_dir, sizeof h->root_dir, plan->root_dir ? plan->root_dir : "");
  uint64_t magic;
  rf_bytes_copy(&magic, RF_MAGIC, sizeof magic);
  __atomic_store_n((uint64_t *)(void *)h->magic, magic, __ATOMIC_RELEASE);
}

static void discard(struct rf_recording *r) {
  if (r->space) rf_raw_unmap(r->space, r->reserved);
  if (r->hashes) rf_raw_unmap(r->hashes, r->reserved / RF_PAGE * sizeof(uint64_t));
  if (r->stage) rf_raw_unmap(r->stage, RF_STAGE_PAGES * RF_PAGE);
  if (r->output_path[0]) rf_raw_unlink(r->output_path);
  rf_bytes_zero(r, sizeof *r);
}

static bool prepare(struct rf_recording *r) {
  r->pid = rf_raw_pid();
  r->uid = (uint32_t)rf_syscall(SYS_geteuid); /* new files belong to it */
  if (!reserve_space(r)) return false;
  r->hashes = private_pages(r->reserved / RF_PAGE * sizeof(uint64_t), MADV_DONTFORK);
  r->stage = private_pages(RF_STAGE_PAGES * RF_PAGE, MADV_DONTFORK);
  return r->hashes && r->stage;
}

static struct rf_recording *own_state(void) {
  if (!self) self = private_pages(round_up(sizeof *self, RF_PAGE), MADV_WIPEONFORK);
  return self;
}

static int build(struct rf_recording *r, const struct rf_recording_plan *plan) {
  struct rf_process process;
  if (!prepare(r)) return -ENOMEM;
  rf_process_read(0, &process);
  int output = open_output(r, plan);
  bool backed = choose_backing(r, plan, output, &process);
  if (output >= 0) rf_raw_close(output);
  if (!backed) return -ENOMEM;
  fill_header(r, plan, &process);
  return 0;
}

int rf_recording_create(const struct rf_recording_plan *plan) {
  struct rf_recording *r = own_state();
  if (!r) return -ENOMEM;
  if (r->base) return -EEXIST;
  int result = build(r, plan);
  if (result < 0) {
    discard(r);
    return result;
  }
  __atomic_store_n(&r->base, r->space, __ATOMIC_RELEASE); /* from now on other threads see it */
  rf_recording_flush(false);
  return 0;
}

void rf_recording_forget(void) {
  if (self)
    rf_bytes_zero(self, sizeof *self); /* wiped already where the kernel knows MADV_WIPEONFORK (4.14) */
}

/* ---- handing out ---- */

struct rf_header *rf_recording_header(void) {
  return self ? (struct rf_header *)__atomic_load_n(&self->base, __ATOMIC_ACQUIRE) : NULL;
}

/* Cost: one compare-and-swap. bytes is a multiple of what alignment asks for where lines must not be shared.
 */
static void *claim(uint64_t bytes, uint64_t alignment) {
  struct rf_header *header = rf_recording_header();
  if (!header || bytes > self->cap) return NULL;
  uint64_t used = __atomic_load_n(&header->used_bytes, __ATOMIC_RELAXED);
  for (;;) {
    uint64_t start = round_up(used, alignment), end = start + bytes;
    if (end > self->mapped) {
      if (!grow(self, end)) return NULL;
    } else if (__atomic_compare_exchange_n(&header->used_bytes, &used, end, true, __ATOMIC_RELAXED,
                                           __ATOMIC_RELAXED)) {
      return self->base + start;
    }
  }
}

void *rf_recording_alloc(size_t bytes) {
  uint64_t alignment = bytes >= 64 ? 64 : 16;
  return bytes > RESERVE_MOST ? NULL : claim(round_up(bytes, alignment), alignment);
}

rf_ref rf_recording_ref(const void *place) { return place ? (rf_ref)((const char *)place - self->base) : 0; }

void *rf_recording_at(rf_ref ref) { return ref && rf_recording_header() ? self->base + ref : NULL; }

rf_ref rf_recording_string(const char *bytes, size_t length) {
  if (length > RESERVE_MOST) return 0;
  struct rf_string *string = claim(sizeof *string + length + 1, 4);
  if (!string) return 0;
  string->length = (uint32_t)length;
  rf_bytes_copy(string->bytes, bytes, length);
  return rf_recording_ref(string);
}

rf_ref rf_recording_text(const char *text) {
  return text ? rf_recording_string(text, rf_text_length(text)) : 0;
}

/* ---- tables ---- */

/* The first chunk remembers the last, so that an append costs the same however long the chain is. */
static struct rf_chunk *last_chunk(rf_ref root) {
  struct rf_chunk *first = rf_recording_at(root);
  return first && first->last ? rf_recording_at((rf_ref)first->last) : first;
}

static struct rf_chunk *new_chunk(enum rf_table kind, uint32_t entry_bytes, uint32_t capacity) {
  struct rf_chunk *chunk = rf_recording_alloc(sizeof *chunk + (size_t)entry_bytes * capacity);
  if (!chunk) return NULL;
  chunk->kind = kind;
  chunk->entry_bytes = entry_bytes;
  chunk->capacity = capacity;
  return chunk;
}

void *rf_table_append(rf_ref *root, enum rf_table kind, uint32_t entry_bytes, uint32_t per_chunk) {
  struct rf_chunk *chunk = root ? last_chunk(*root) : NULL;
  if (!root) return NULL;
  if (!chunk || chunk->count >= chunk->capacity) {
    struct rf_chunk *fresh = new_chunk(kind, entry_bytes, per_chunk);
    if (!fresh) return NULL;
    __atomic_store_n(chunk ? &chunk->next : root, rf_recording_ref(fresh), __ATOMIC_RELEASE);
    ((struct rf_chunk *)rf_recording_at(*root))->last = rf_recording_ref(fresh);
    chunk = fresh;
  }
  char *entry = (char *)(chunk + 1) + (size_t)chunk->count * chunk->entry_bytes;
  rf_bytes_zero(entry, chunk->entry_bytes); /* an earlier one may have been given up half-way */
  return entry;
}

void rf_table_publish(rf_ref root) {
  struct rf_chunk *chunk = last_chunk(root);
  if (chunk && chunk->count < chunk->capacity)
    __atomic_store_n(&chunk->count, chunk->count + 1, __ATOMIC_RELEASE);
}

rf_ref *rf_recording_root(enum rf_table kind) {
  struct rf_header *header = rf_recording_header();
  return header && (unsigned)kind < RF_TABLE_COUNT ? &header->root[kind] : NULL;
}

/* ---- cold tables ---- */

static void append_pair(enum rf_table kind, const char *key, const char *value) {
  rf_ref *root = rf_recording_root(kind);
  struct rf_fact_entry *entry = rf_table_append(root, kind, sizeof *entry, 32);
  if (entry) {
    entry->key = rf_recording_text(key);
    entry->value = rf_recording_text(value);
    rf_table_publish(*root);
  }
}

/* Once sealed, signals can't be blocked; then a handler that met the lock held could never wait for it. */
static void record_pair(enum rf_table kind, const char *key, const char *value) {
  if (!rf_recording_header()) return;
  if (self->sealed) {
    if (!rf_lock_try(&self->cold_lock)) return;
    append_pair(kind, key, value);
    rf_lock_give(&self->cold_lock);
    return;
  }
  uint64_t signals = rf_raw_signals_block();
  rf_lock_take(&self->cold_lock);
  append_pair(kind, key, value);
  rf_lock_give(&self->cold_lock);
  rf_raw_signals_restore(signals);
}

void rf_record_fact(const char *key, const char *value) { record_pair(RF_TABLE_FACT, key, value); }

void rf_record_unavailable(const char *path, const char *reason) {
  record_pair(RF_TABLE_UNAVAILABLE, path, reason);
}
