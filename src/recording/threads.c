/* See threads.h. */
#include "recording/threads.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "arch/arch.h"
#include "arch/entry.h"
#include "base/lock.h"
#include "base/memory.h"
#include "base/signals.h"
#include "recording/writer.h"

#define PAGE 4096ul
/* Several to a page; wiped together in a child, which has but one thread anyway. */
#define ROOM_FOR_THREAD 1024ul
#define CANDIDATES 8 /* entries that are tried for a dead owner before a new one is made */

/* One page that a forked child finds zeroed. */
struct registry {
  uint32_t ready; /* 0 in a forked child */
  uint32_t silent;
  struct rf_lock lock;
  struct rf_thread *first;
  struct rf_thread *cursor;
  char *room; /* for struct rf_thread */
  size_t room_left;
  uint32_t count;
};

uint32_t rf_countdown_capacity;
int64_t *rf_no_countdowns;
static bool settled; /* rf_countdown_capacity is what threads get */
static struct registry *registry;
static void *main_tcb;
static struct rf_thread_hooks hooks;

static void *wiped_pages(size_t bytes) {
  void *pages = rf_pages(bytes);
  if (pages) rf_syscall(SYS_madvise, pages, bytes, MADV_WIPEONFORK);
  return pages;
}

bool rf_threads_start(const struct rf_thread_hooks *given) {
  hooks = *given;
  if (!main_tcb) main_tcb = __builtin_thread_pointer();
  if (!registry) registry = wiped_pages(PAGE);
  if (!registry) return false;
  registry->ready = 1;
  return true;
}

void rf_threads_restart(void) {
  rf_tls.self = &rf_no_thread;
  memset(registry, 0, sizeof *registry);
  registry->ready = 1;
}

bool rf_threads_forked(void) { return registry && !registry->ready; }

void rf_threads_silence(void) {
  if (!registry) return;
  registry->ready = registry->silent = 1;
}

struct rf_thread *rf_threads_first(void) {
  return registry && registry->ready ? registry->first : NULL;
}

/* The main thread's stack grows down from the arguments to its limit; maps show only what it has used. */
static bool main_stack(uintptr_t *low, uintptr_t *high) {
  struct {
    uint64_t now, most;
  } limit;
  uintptr_t bytes = (uintptr_t)8 << 20, top = getauxval(AT_EXECFN);
  if (rf_syscall(SYS_prlimit64, 0, RLIMIT_STACK, 0, &limit) == 0 && limit.now < ((uint64_t)1 << 30))
    bytes = limit.now;
  if (!top) return false;
  *high = (top + strlen((const char *)top) + PAGE) & ~(PAGE - 1);
  *low = *high - bytes;
  return true;
}

static bool pthread_stack(uintptr_t *low, uintptr_t *high) {
  pthread_attr_t attributes;
  void *start;
  size_t bytes;
  rf_internal_enter();
  int failed = pthread_getattr_np(pthread_self(), &attributes);
  if (!failed) {
    failed = pthread_attr_getstack(&attributes, &start, &bytes);
    pthread_attr_destroy(&attributes);
  }
  rf_internal_leave();
  if (failed) return false;
  *low = (uintptr_t)start;
  *high = *low + bytes;
  return true;
}

static void find_stack(struct rf_thread *thread) {
  /* By its TCB, not its number: in the child of another thread's fork the only thread runs on that thread's
   * stack. */
  thread->tcb = (uintptr_t)__builtin_thread_pointer();
  bool main = thread->tcb == (uintptr_t)main_tcb;
  bool known = (main && main_stack(&thread->stack_low, &thread->stack_high)) ||
               pthread_stack(&thread->stack_low, &thread->stack_high);
  if (!known)
    thread->stack_low = thread->stack_high = 0; /* then every stack is a foreign one: slower, still right */
}

static bool owner_is_gone(const struct rf_thread *thread, uint32_t my_tid) {
  if (thread->tid == my_tid) return true; /* a former thread had the number that is mine now */
  return rf_syscall(SYS_tgkill, rf_syscall(SYS_getpid), thread->tid, 0) == -ESRCH;
}

void rf_threads_settle(void) {
  if (rf_quiet()) return; /* asking whether a thread lives takes a system call */
  uint32_t mine = rf_tls.self->tid;
  for (struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    if (thread->tid != mine && owner_is_gone(thread, mine)) hooks.taken_over(thread);
}

/* In this order: a call that finds no countdown finds no capacity either, but for the instant between the
 * two, in which one that was not drawn may count as if it were. */
void rf_threads_want_look(void) {
  struct rf_thread *thread = registry ? __atomic_load_n(&registry->first, __ATOMIC_ACQUIRE) : NULL;
  for (; thread; thread = thread->next) {
    if (!thread->own_countdowns) continue;
    __atomic_store_n(&thread->countdowns, 0, __ATOMIC_RELAXED);
    __atomic_store_n(&thread->slot_capacity, 0, __ATOMIC_RELEASE);
  }
}

bool rf_threads_look_wanted(struct rf_thread *thread) {
  if (!thread->slot_room || __atomic_load_n(&thread->slot_capacity, __ATOMIC_ACQUIRE)) return false;
  thread->countdowns = thread->own_countdowns;
  __atomic_store_n(&thread->slot_capacity, thread->slot_room, __ATOMIC_RELEASE);
  return true;
}

/* The newest entries first, since short threads come and go there; then some at a moving place. */
static struct rf_thread *find_dead(uint32_t my_tid) {
  struct rf_thread *thread = registry->first;
  for (int i = 0; i < CANDIDATES / 2 && thread; i++, thread = thread->next)
    if (owner_is_gone(thread, my_tid)) return thread;
  for (int i = 0; i < CANDIDATES / 2 && thread; i++) {
    if (!registry->cursor) registry->cursor = thread;
    struct rf_thread *candidate = registry->cursor;
    registry->cursor = candidate->next;
    if (owner_is_gone(candidate, my_tid)) return candidate;
  }
  return NULL;
}

/* The thread's countdowns, as many as counting stubs can be for; without room in the recording it times every
 * call. */
static void add_countdowns(struct rf_thread *thread) {
  uint32_t count = rf_countdown_capacity;
  int64_t *countdowns = count ? rf_recording_alloc(count * sizeof *countdowns) : NULL;
  if (!countdowns) return;
  thread->entry->countdowns = rf_recording_ref(countdowns);
  thread->entry->countdown_count = count;
  thread->own_countdowns = (uintptr_t)countdowns - (uintptr_t)rf_no_countdowns;
  thread->countdowns = thread->own_countdowns;
}

bool rf_countdowns_start(uint32_t most) {
  long pages = rf_syscall(SYS_mmap, 0, most * sizeof *rf_no_countdowns, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_32BIT, -1, 0);
  if (pages < 0) return false;
  rf_no_countdowns = (int64_t *)pages;
  rf_countdown_capacity = most;
  return true;
}

void rf_countdowns_settle(uint32_t capacity) {
  rf_countdown_capacity = capacity;
  settled = true;
  for (struct rf_thread *thread = rf_threads_first(); thread; thread = thread->next)
    if (!thread->own_countdowns) add_countdowns(thread);
}

static struct rf_thread *new_thread(void) {
  if (registry->room_left < ROOM_FOR_THREAD) {
    registry->room = wiped_pages(16 * PAGE);
    registry->room_left = registry->room ? 16 * PAGE : 0;
  }
  if (!registry->room_left) return NULL;
  rf_ref *root = rf_recording_root(RF_TABLE_THREAD);
  struct rf_thread_entry *entry = rf_table_append(root, RF_TABLE_THREAD, sizeof *entry, 8);
  if (!entry) return NULL;
  rf_table_publish(*root);
  struct rf_thread *thread = (struct rf_thread *)registry->room;
  registry->room += ROOM_FOR_THREAD;
  registry->room_left -= ROOM_FOR_THREAD;
  thread->entry = entry;
  thread->index = registry->count++;
  if (rf_no_countdowns && settled) add_countdowns(thread);
  thread->next = registry->first;
  __atomic_store_n(&registry->first, thread, __ATOMIC_RELEASE);
  return thread;
}

/* A thread's functions count its owners: so the owner's own table starts empty, the earlier ones' stays
 * known. */
static void settle_former(struct rf_thread *thread) {
  hooks.taken_over(thread);
  if (thread->slots) memset(thread->slots, 0, thread->slot_room * sizeof *thread->slots);
  for (uint32_t i = 0; i < thread->slot_room; i++)
    if (thread->known_slots[i]) thread->known_slots[i]->depth = 0;
}

static void take_over(struct rf_thread *thread, uint32_t tid) {
  struct rf_thread_entry *entry = thread->entry;
  if (entry->generation) settle_former(thread);
  thread->tid = tid;
  thread->random = ((uint64_t)tid << 32 | 0x9e3779b9u) * 0xbf58476d1ce4e5b9u;
  entry->tid = tid;
  entry->generation++;
  entry->alive = 1;
  memset(entry->name, 0, sizeof entry->name);
  rf_syscall(SYS_prctl, 16 /* PR_GET_NAME */, entry->name);
  find_stack(thread);
  if (!thread->first_chunk) return;
  ((struct rf_chunk_header *)thread->first_chunk)->position = thread->stack_high;
  rf_tls.top = thread->first_chunk + RF_RECORD_BYTES;
}

static struct rf_thread *register_locked(void) {
  uint32_t tid = (uint32_t)rf_syscall(SYS_gettid);
  struct rf_thread *thread = find_dead(tid);
  if (!thread) thread = new_thread();
  if (!thread) return NULL;
  if (!thread->slot_room && !rf_thread_reserve_slots(thread, 1)) return NULL;
  take_over(thread, tid);
  rf_tls.self = thread;
  return thread;
}

_Static_assert(sizeof(struct rf_thread) <= ROOM_FOR_THREAD, "a thread's state outgrew its room");

static struct rf_thread *register_thread(void) {
  uint64_t mask = rf_signals_block();
  struct rf_thread *thread = NULL;
  if (!registry->ready && !hooks.forked()) rf_threads_silence();
  if (rf_tls.self->entry)
    thread = rf_tls.self; /* the fork hook registered it */
  else if (!registry->silent && rf_recording_header()) {
    rf_lock_take(&registry->lock);
    thread = register_locked();
    rf_lock_give(&registry->lock);
  }
  rf_signals_restore(mask);
  return thread;
}

struct rf_thread *rf_thread_get(void) {
  struct rf_thread *thread = rf_tls.self;
  if (__builtin_expect(thread->entry != NULL, 1)) return thread;
  if (!registry || registry->silent || rf_quiet()) return NULL;
  return register_thread();
}

bool rf_thread_reserve_slots(struct rf_thread *thread, uint32_t count) {
  if (count <= thread->slot_room) return true;
  uint32_t capacity = 64;
  while (capacity < count) capacity *= 2;
  struct rf_slot **slots = rf_pages(2ul * capacity * sizeof *slots);
  if (!slots) return false;
  struct rf_slot **old = thread->slots;
  uint32_t old_capacity = thread->slot_room;
  if (old) {
    memcpy(slots, old, old_capacity * sizeof *slots);
    memcpy(slots + capacity, thread->known_slots, old_capacity * sizeof *slots);
  }
  thread->slots = slots;
  thread->known_slots = slots + capacity;
  __atomic_signal_fence(__ATOMIC_SEQ_CST);
  bool look_wanted = thread->slot_room && !thread->slot_capacity;
  thread->slot_room = capacity;
  if (!look_wanted) thread->slot_capacity = capacity;
  if (old) rf_pages_free(old, 2ul * old_capacity * sizeof *old);
  return true;
}
