/* See records.h. */
#include "trace/records.h"

#include <sys/mman.h>

#include "base/lock.h"
#include "base/quiet.h"
#include "base/signals.h"

/* Behind a chunk: a handler that claims while a full chunk is being replaced stays in mapped memory. */
#define SLACK 4096ul
#define PER_CHUNK (RF_RECORD_CHUNK / RF_RECORD_BYTES)
#define DATA_CHUNKS 8
#define FOREIGN_BUCKETS 256u

struct foreign {
  struct rf_record record; /* first: the entry knows only this */
  struct foreign *next;
  uint32_t bucket, in_use;
  uint64_t pending[RF_PENDING_BYTES / 8];
};

static struct {
  struct rf_lock lock;
  struct foreign *bucket[FOREIGN_BUCKETS];
  struct foreign *free;
} foreign_records;

static bool data_only; /* a collector looks nowhere else: what does not fit in there is not timed */

void rf_records_data_only(void) { data_only = true; }

/*
 * The first chunks lie in the library's own data: a conservative collector (Boehm's) takes it for roots, and
 * so sees what the callers' rbx, kept in records, refer to.
 */
static char data_chunks[DATA_CHUNKS][2 * RF_RECORD_CHUNK] __attribute__((aligned(RF_RECORD_CHUNK)));

static uintptr_t take_data_chunk(void) {
  static uint32_t taken;
  if (__atomic_load_n(&taken, __ATOMIC_RELAXED) >= DATA_CHUNKS) return 0;
  uint32_t mine = __atomic_fetch_add(&taken, 1, __ATOMIC_RELAXED);
  return mine < DATA_CHUNKS ? (uintptr_t)data_chunks[mine] : 0;
}

static uintptr_t map_aligned(void) {
  uintptr_t bytes = 2ul * RF_RECORD_CHUNK + SLACK;
  long got = rf_syscall(SYS_mmap, 0, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got < 0) return 0;
  uintptr_t start = ((uintptr_t)got + RF_RECORD_CHUNK - 1) & ~(uintptr_t)(RF_RECORD_CHUNK - 1);
  uintptr_t end = start + RF_RECORD_CHUNK + SLACK, last = (uintptr_t)got + bytes;
  if (start > (uintptr_t)got) rf_syscall(SYS_munmap, got, start - (uintptr_t)got);
  if (last > end) rf_syscall(SYS_munmap, end, last - end);
  return start;
}

static struct rf_chunk_header *map_chunk(struct rf_thread *thread) {
  uintptr_t start = take_data_chunk();
  if (!start && !data_only) start = map_aligned();
  if (!start) return NULL;
  struct rf_record *records = (struct rf_record *)start;
  for (uint32_t i = 1; i < PER_CHUNK; i++) records[i].position = RF_RECORD_FREE;
  struct rf_chunk_header *chunk = (struct rf_chunk_header *)start;
  chunk->thread = thread;
  return chunk;
}

struct rf_record *rf_record_below(struct rf_record *record) {
  struct rf_record *below = record - 1;
  struct rf_chunk_header *chunk = rf_record_chunk(record);
  if ((void *)below != chunk) return below;
  if (!chunk->previous) return NULL;
  below = (struct rf_record *)chunk->previous + PER_CHUNK - 1;
  below->child += chunk->child;
  chunk->child = 0;
  return below;
}

static bool begin_pile(struct rf_thread *thread) {
  struct rf_chunk_header *chunk = (struct rf_chunk_header *)thread->first_chunk;
  if (!chunk) chunk = map_chunk(thread);
  if (!chunk) return false;
  chunk->position = thread->stack_high;
  thread->first_chunk = (char *)chunk;
  rf_tls.top = (char *)chunk + RF_RECORD_BYTES;
  return true;
}

bool rf_records_make_room(struct rf_thread *thread) {
  if (!rf_tls.top) return begin_pile(thread);
  if ((uintptr_t)rf_tls.top % RF_RECORD_CHUNK) return true;
  struct rf_record *last = (struct rf_record *)rf_tls.top - 1;
  struct rf_chunk_header *full = rf_record_chunk(last);
  if (!full->next) {
    full->next = map_chunk(thread);
    if (!full->next) return false;
    full->next->previous = full;
  }
  full->next->position = last->position;
  rf_tls.top = (char *)full->next + RF_RECORD_BYTES;
  return true;
}

void rf_records_clear(struct rf_thread *thread, void (*visit)(struct rf_record *record)) {
  struct rf_chunk_header *chunk = (struct rf_chunk_header *)thread->first_chunk;
  while (chunk && chunk->next) chunk = chunk->next;
  for (; chunk; chunk = chunk->previous) {
    struct rf_record *records = (struct rf_record *)chunk;
    for (uint32_t i = PER_CHUNK - 1; i > 0; i--) {
      if (records[i].position == RF_RECORD_FREE) continue;
      visit(&records[i]);
      records[i].position = RF_RECORD_FREE;
      records[i].flags = 0;
    }
    chunk->child = 0;
  }
  if (thread->first_chunk) ((struct rf_chunk_header *)thread->first_chunk)->position = thread->stack_high;
}

static uint32_t bucket_of(uintptr_t position) { return (uint32_t)(position >> 4) % FOREIGN_BUCKETS; }

static struct foreign *more_foreign(void) {
  if (rf_quiet()) return NULL;
  long got = rf_syscall(SYS_mmap, 0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (got < 0) return NULL;
  struct foreign *fresh = (struct foreign *)got;
  for (uint32_t i = 0; i < 65536 / sizeof *fresh; i++) {
    fresh[i].next = foreign_records.free;
    foreign_records.free = &fresh[i];
  }
  return foreign_records.free;
}

struct rf_record *rf_foreign_take(uintptr_t position, void (*dead)(struct rf_record *record)) {
  if (data_only) return NULL;
  rf_lock_take(&foreign_records.lock);
  struct foreign **bucket = &foreign_records.bucket[bucket_of(position)], *f = *bucket;
  while (f && f->record.position != position) f = f->next;
  if (f)
    dead(&f->record);
  else if (foreign_records.free || more_foreign()) {
    f = foreign_records.free;
    foreign_records.free = f->next;
    f->next = *bucket;
    f->bucket = bucket_of(position);
    *bucket = f;
  }
  if (f) f->record = (struct rf_record){.position = position, .flags = RF_RECORD_FOREIGN};
  rf_lock_give(&foreign_records.lock);
  return f ? &f->record : NULL;
}

void rf_foreign_give(struct rf_record *record) {
  struct foreign *gone = (struct foreign *)record;
  rf_lock_take(&foreign_records.lock);
  struct foreign **link = &foreign_records.bucket[gone->bucket];
  while (*link && *link != gone) link = &(*link)->next;
  if (*link) *link = gone->next;
  record->position = RF_RECORD_FREE;
  gone->next = foreign_records.free;
  foreign_records.free = gone;
  rf_lock_give(&foreign_records.lock);
}

void rf_foreign_visit(void (*visit)(struct rf_record *record)) {
  rf_lock_take(&foreign_records.lock);
  for (uint32_t i = 0; i < FOREIGN_BUCKETS; i++)
    for (struct foreign *f = foreign_records.bucket[i]; f; f = f->next) visit(&f->record);
  rf_lock_give(&foreign_records.lock);
}

static void map_pending(struct rf_chunk_header *chunk) {
  uint64_t mask = rf_signals_block();
  if (!chunk->pending && !rf_quiet()) {
    long pages = rf_syscall(SYS_mmap, 0, (uintptr_t)PER_CHUNK * RF_PENDING_BYTES, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (pages > 0) chunk->pending = (void *)pages;
  }
  rf_signals_restore(mask);
}

void *rf_record_pending(struct rf_record *record) {
  if (record->flags & RF_RECORD_FOREIGN) return ((struct foreign *)record)->pending;
  struct rf_chunk_header *chunk = rf_record_chunk(record);
  if (!chunk->pending) rf_preserved_on_own_stack((uintptr_t)chunk, 0, 0, map_pending);
  return chunk->pending
             ? (char *)chunk->pending + (size_t)(record - (struct rf_record *)chunk) * RF_PENDING_BYTES
             : NULL;
}
