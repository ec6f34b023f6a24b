/*
 * Writing through: what changed in the live copy since the last time goes to the output file.
 *
 *   live copy (tmpfs)   │ header │ page │ page │ page │ ...      hash of each page as it was last written
 *                            │       ╲     ╲ only those whose hash changed
 *   output file         │ header │ page │ page │ page │ ...      its header goes in last: state POINTER, in the end
 *                                                                FINISHED
 *
 * A page is copied into a private buffer first, hashed there and written from there, so that the hash is that
 * of the bytes written whatever the app does meanwhile. Runs once a second on the sampler's thread and at the
 * end on a thread of the app: raw system calls only, no TLS, no libc function. A disk that stalls holds up
 * this thread alone: nobody else waits for flush_lock without a limit.
 */
#include "base/log.h"
#include "recording/compose.h"
#include "recording/inner.h"
#include "recording/live.h"
#include "recording/raw.h"
#include "recording/writer.h"

#define END_WAIT_NS INT64_C(2000000000)     /* for a write-through that is under way when the process ends */
#define IDLE_HEADER_NS INT64_C(10000000000) /* an idle process's header is written this often */
#define PASSES_AT_END 3

static struct rf_header *header_of(const struct rf_recording *r) {
  return (struct rf_header *)(void *)r->base;
}

/* ---- pages ---- */

/* Four lanes of multiply and fold: about 150 ns a page; a changed page is missed with a chance of 2^-64 or
 * so. */
static uint64_t hash_page(const char *page) {
  const uint64_t *word = (const void *)page;
  uint64_t a = 1, b = 2, c = 3, d = 4;
  for (size_t i = 0; i < RF_PAGE / sizeof *word; i += 4) {
    a = (a ^ word[i]) * UINT64_C(0x9e3779b97f4a7c15);
    b = (b ^ word[i + 1]) * UINT64_C(0xc2b2ae3d27d4eb4f);
    c = (c ^ word[i + 2]) * UINT64_C(0x165667b19e3779f9);
    d = (d ^ word[i + 3]) * UINT64_C(0xd6e8feb86659fd93);
    a ^= a >> 29, b ^= b >> 31, c ^= c >> 32, d ^= d >> 30;
  }
  uint64_t hash =
      (a ^ (b << 17 | b >> 47) ^ (c << 31 | c >> 33) ^ (d << 47 | d >> 17)) * UINT64_C(0x94d049bb133111eb);
  return (hash ^ hash >> 32) | 1; /* 0 stands for never written */
}

/* Pages that are staged for one write. */
struct run {
  uint64_t first;
  unsigned count;
  uint64_t hash[RF_STAGE_PAGES];
};

/* Only what was written is remembered as written. */
static int write_run(struct rf_recording *r, int fd, struct run *run) {
  if (!run->count) return 0;
  uint64_t at = run->first * RF_PAGE, length = (uint64_t)run->count * RF_PAGE;
  int result = at + length > rf_raw_limit(RLIMIT_FSIZE) ? -EFBIG : rf_raw_write_at(fd, r->stage, length, at);
  if (result == 0)
    for (unsigned i = 0; i < run->count; i++) r->hashes[run->first + i] = run->hash[i];
  run->count = 0;
  return result;
}

/* Every page but the header's, up to end. */
static int write_pages(struct rf_recording *r, int fd, uint64_t end) {
  struct run run = {.count = 0};
  for (uint64_t page = 1; page * RF_PAGE < end; page++) {
    char *staged = r->stage + (size_t)run.count * RF_PAGE;
    rf_bytes_copy(staged, r->base + page * RF_PAGE, RF_PAGE);
    uint64_t hash = hash_page(staged);
    bool changed = hash != r->hashes[page];
    if (changed) {
      if (!run.count) run.first = page;
      run.hash[run.count++] = hash;
    }
    if (!changed || run.count == RF_STAGE_PAGES) {
      int result = write_run(r, fd, &run);
      if (result < 0) return result;
    }
  }
  return write_run(r, fd, &run);
}

/* The header as the output shall have it. Its time of the last look alone makes no write until it is old. */
static int write_header(struct rf_recording *r, int fd, uint64_t used, bool finished) {
  struct rf_header *h = (struct rf_header *)(void *)r->stage;
  rf_bytes_copy(r->stage, r->base, RF_PAGE);
  int64_t now = h->last_write_monotonic_ns;
  h->used_bytes = used;
  h->state = finished ? RF_STATE_FINISHED : r->backing == RF_BACKING_LIVE ? RF_STATE_POINTER : RF_STATE_LIVE;
  h->last_write_monotonic_ns = 0;
  uint64_t hash = hash_page(r->stage);
  h->last_write_monotonic_ns = now;
  if (hash == r->hashes[0] && !finished && now - r->header_written_ns < IDLE_HEADER_NS) return 0;
  struct run run = {.first = 0, .count = 1, .hash = {hash}};
  r->header_written_ns = now;
  return write_run(r, fd, &run);
}

/* ---- the output file ---- */

/* Inode numbers are used again: a file that was put in its place may have the same. Before the first write
 * ours is empty; later it begins with our header. */
static bool still_ours(const struct rf_recording *r, int fd) {
  struct rf_header found;
  const struct rf_header *own = header_of(r);
  const size_t identity = offsetof(struct rf_header, end_monotonic_ns);
  long got = rf_raw_read_at(fd, &found, identity, 0);
  if (!r->hashes[0]) return got == 0;
  return got == (long)identity && found.pid == own->pid && found.pid_start_ticks == own->pid_start_ticks &&
         found.start_monotonic_ns == own->start_monotonic_ns &&
         found.start_realtime_ns == own->start_realtime_ns;
}

/* At the end, an output that somebody removed is made again. */
static int open_output(struct rf_recording *r, bool finished) {
  int fd = rf_live_open(r->output_path, O_RDWR, r->uid, r->output_dev, r->output_inode);
  if (fd >= 0 && !still_ours(r, fd)) {
    rf_raw_close(fd);
    return -ESTALE;
  }
  if (fd != -ENOENT || !finished) return fd;
  fd = rf_raw_open(r->output_path, O_RDWR | O_CREAT | O_EXCL, 0600);
  if (fd < 0) return fd;
  struct stat made;
  if (rf_raw_stat_fd(fd, &made) == 0) r->output_dev = made.st_dev, r->output_inode = made.st_ino;
  rf_bytes_zero(r->hashes, r->mapped / RF_PAGE * sizeof *r->hashes);
  return fd;
}

/*
 * Other threads may still append at the end: when used_bytes stood still during a pass, nothing that was
 * written refers to what was not.
 */
static int write_all(struct rf_recording *r, int fd, bool finished) {
  int result = 0;
  uint64_t used = 0;
  for (int pass = 0; pass < (finished ? PASSES_AT_END : 1) && result == 0; pass++) {
    uint64_t before = __atomic_load_n(&header_of(r)->used_bytes, __ATOMIC_ACQUIRE);
    if (pass && before == used) break;
    result = write_pages(r, fd, used = before);
  }
  return result < 0 ? result : write_header(r, fd, used, finished);
}

/* Where the output is itself mapped, or there is none, there is nothing to do. */
static int write_through(struct rf_recording *r, bool finished) {
  if (!r->output_path[0] || r->backing == RF_BACKING_OUTPUT) return 0;
  int fd = open_output(r, finished);
  if (fd < 0) return fd;
  int result = write_all(r, fd, finished);
  rf_raw_close(fd);
  return result;
}

/* ---- the end ---- */

static void remove_live_copy(struct rf_recording *r) {
  struct stat found;
  if (r->backing != RF_BACKING_LIVE || rf_raw_stat(r->live_path, &found) < 0) return;
  if (found.st_dev == r->live_dev && found.st_ino == r->live_inode) rf_raw_unlink(r->live_path);
}

/* Once for all failures: the sampler may be the first to meet one. */
static void say_what_failed(struct rf_recording *r, int error) {
  const char *reason = error == -ETIMEDOUT ? "the disk does not answer" : rf_error_text(error);
  const char *kept = "; the recording stays in memory until refunc report can complete it";
  if (!__atomic_exchange_n(&r->said, 1, __ATOMIC_RELAXED))
    rf_recording_complain("cannot write", r->output_path, reason, r->backing == RF_BACKING_LIVE ? kept : "");
}

/* The holder may wait for a disk, or have been ended in the middle: not longer than wait_ns. */
static bool take_bounded(struct rf_lock *lock, int64_t wait_ns) {
  int64_t until = rf_raw_clock(CLOCK_MONOTONIC) + wait_ns;
  while (!rf_lock_try(lock)) {
    struct timespec pause = {0, 1000000};
    if (rf_raw_clock(CLOCK_MONOTONIC) >= until) return false;
    rf_syscall(SYS_nanosleep, &pause, NULL);
  }
  return true;
}

static int flush_locked(struct rf_recording *r, bool finished) {
  header_of(r)->last_write_monotonic_ns = rf_raw_clock(CLOCK_MONOTONIC);
  if (header_of(r)->state == RF_STATE_FINISHED) finished = true; /* the sampler's turn may come once more */
  if (!finished) rf_recording_grow_ahead(r);
  int result = write_through(r, finished);
  if (result < 0 && (finished || result != -ENOENT)) say_what_failed(r, result);
  return result;
}

/* Signals are blocked while the lock is held: a handler that exits would wait for its own thread. */
static int flush_bounded(struct rf_recording *r, bool finished) {
  uint64_t signals = rf_raw_signals_block();
  int result = -ETIMEDOUT;
  if (take_bounded(&r->flush_lock, finished ? END_WAIT_NS : 0)) {
    result = flush_locked(r, finished);
    rf_lock_give(&r->flush_lock);
  }
  rf_raw_signals_restore(signals);
  return result;
}

static struct rf_recording *recording(void) { return rf_recording_header() ? rf_recording_inner() : NULL; }

/* A vfork child runs in its parent's memory, but the parent has not ended. */
static bool of_this_process(const struct rf_recording *r) {
  return r && !r->sealed && rf_raw_pid() == r->pid;
}

void rf_recording_flush(bool finished) {
  struct rf_recording *r = recording();
  if (!r || r->sealed || (finished && !of_this_process(r))) return;
  if (!finished) {
    flush_bounded(r, false);
    return;
  }
  r->finished = 1;
  __atomic_store_n(&header_of(r)->state, RF_STATE_FINISHED, __ATOMIC_RELEASE);
  int result = flush_bounded(r, true);
  if (result == 0 && r->output_path[0])
    remove_live_copy(r);
  else if (result < 0)
    say_what_failed(r, result);
}

const char *rf_recording_path(void) {
  struct rf_recording *r = recording();
  if (!r) return "";
  return r->output_path[0] ? r->output_path : r->live_path;
}

void rf_recording_drop(void) {
  struct rf_recording *r = recording();
  if (of_this_process(r) && r->finished && !r->output_path[0]) remove_live_copy(r);
}

void rf_recording_before_exec(void) {
  struct rf_recording *r = recording();
  if (!of_this_process(r)) return;
  struct rf_header *h = header_of(r);
  h->end_monotonic_ns = rf_raw_clock(CLOCK_MONOTONIC);
  h->end_cycles = rf_cycles();
  h->exit_kind = RF_EXIT_EXECED;
  __atomic_store_n(&h->state, RF_STATE_FINISHED, __ATOMIC_RELEASE);
  flush_bounded(r, true);
}

void rf_recording_exec_failed(void) {
  struct rf_recording *r = recording();
  if (!of_this_process(r)) return;
  struct rf_header *h = header_of(r);
  h->end_monotonic_ns = 0;
  h->end_cycles = 0;
  h->exit_kind = RF_EXIT_RUNNING;
  __atomic_store_n(&h->state, RF_STATE_LIVE, __ATOMIC_RELEASE);
  flush_bounded(r, false);
}
