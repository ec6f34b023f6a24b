/*
 * Network bytes of the process: what the socket calls sent and received, added to the calling thread's sums
 * in the recording.
 *
 *   send* recv*                              are about sockets only: what they moved is counted
 *   read write readv writev sendfile splice  only where the descriptor is a socket
 *   close                                    forgets what is known of the descriptor
 *
 * What a descriptor is, the kernel says once (fstat), and a table remembers it. Descriptors also change
 * behind our back (dup2, close_range, fclose, which closes inside libc), so the table is a memory, not the
 * truth: a thread looks again after every 256 calls on average, at a random one of them, and before every
 * large transfer. A descriptor that was replaced without close() is thus taken for the former one for some
 * hundreds of calls at most. The table itself is only written when something changed, so threads share its
 * cache lines freely; the countdown is the thread's own.
 *
 * A call on anything but a socket ends in a jump to libc's function: two loads and a decrement more than
 * without us. Calls on sockets stay on the stack while they block; a cancellation unwinds through them, there
 * is nothing to put back.
 */
#undef _FILE_OFFSET_BITS /* sendfile and sendfile64 are two names here */
#include "preload/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "arch/arch.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "preload/export.h"
#include "preload/next.h"
#include "recording/format.h"
#include "recording/threads.h"

#define LIKELY(x) __builtin_expect(!!(x), 1)
#define KNOWN (1 << 20) /* descriptors that are remembered; higher ones are asked about at every call */
#define LARGE ((size_t)128 << 10)

enum kind { UNKNOWN, SOCKET, OTHER };

static bool counting;
static uint8_t kinds[KNOWN]; /* pages that no descriptor needs are never touched */

#define CALLS(_)                                                                                             \
  _(read)                                                                                                    \
  _(readv)                                                                                                   \
  _(recv)                                                                                                    \
  _(recvfrom)                                                                                                \
  _(recvmsg)                                                                                                 \
  _(recvmmsg)                                                                                                \
  _(write) _(writev) _(send) _(sendto) _(sendmsg) _(sendmmsg) _(sendfile) _(sendfile64) _(splice) _(close)

/* libc's functions behind ours. */
static struct {
#define FIELD(name) __typeof__(&name) name;
  CALLS(FIELD)
} next;

/* dlsym is not for signal handlers, so all at once, from the constructor if nobody was earlier. */
__attribute__((noinline, cold)) static void find_next(void) {
  rf_internal_enter();
#define FIND(name) next.name = (__typeof__(next.name))dlsym(RTLD_NEXT, #name);
  CALLS(FIND)
  rf_internal_leave();
}

#define NEXT_CALL(name) (LIKELY(next.name) ? next.name : (find_next(), next.name))

/* ---- what a descriptor is ---- */

/* A mean of 256, never a fixed stride: descriptors that are used in turn are all looked at in time. */
static uint32_t random_pause(void) {
  static uint32_t seed; /* a lost update of another thread's does no harm */
  uint32_t drawn = __atomic_load_n(&seed, __ATOMIC_RELAXED) * 1664525u + 1013904223u;
  __atomic_store_n(&seed, drawn, __ATOMIC_RELAXED);
  return 128 + (drawn >> 24);
}

/* Behind the app's system call filter nobody may ask: what is not known is no socket then. */
__attribute__((noinline, cold)) static bool look(int descriptor) {
  uint8_t *known = descriptor >= 0 && descriptor < KNOWN ? &kinds[descriptor] : NULL;
  rf_tls.until_look = random_pause();
  if (descriptor < 0) return false;
  if (rf_quiet()) return known && *known == SOCKET;
  struct stat status;
  if (rf_syscall(SYS_fstat, descriptor, &status) != 0) return false;
  enum kind kind = S_ISSOCK(status.st_mode) ? SOCKET : OTHER;
  if (known && *known != kind) *known = (uint8_t)kind;
  return kind == SOCKET;
}

static inline bool is_socket(int descriptor) {
  if (!counting) return false;
  if (LIKELY((unsigned)descriptor < KNOWN && rf_tls.until_look)) {
    rf_tls.until_look--;
    if (LIKELY(kinds[descriptor] != UNKNOWN)) return kinds[descriptor] == SOCKET;
  }
  return look(descriptor);
}

static inline bool moves_network_bytes(int descriptor, size_t bytes) {
  bool socket = is_socket(descriptor);
  return socket && (LIKELY(bytes < LARGE) || look(descriptor));
}

/* ---- counting ---- */

static struct rf_thread_entry *sums(void) {
  struct rf_thread *thread = rf_tls.self;
  if (LIKELY(thread && thread->entry)) return thread->entry;
  int error = errno;
  thread = rf_thread_get();
  errno = error;
  return thread ? thread->entry : NULL;
}

__attribute__((noinline)) static ssize_t sent(ssize_t bytes) {
  struct rf_thread_entry *entry = counting && bytes > 0 ? sums() : NULL;
  if (entry) entry->sent_bytes += (uint64_t)bytes;
  return bytes;
}

__attribute__((noinline)) static ssize_t received(ssize_t bytes) {
  struct rf_thread_entry *entry = counting && bytes > 0 ? sums() : NULL;
  if (entry) entry->received_bytes += (uint64_t)bytes;
  return bytes;
}

/* Peeked bytes come again; the error queue holds copies of what was sent. */
static ssize_t received_with(ssize_t bytes, int flags) {
  return flags & (MSG_PEEK | MSG_ERRQUEUE) ? bytes : received(bytes);
}

static size_t size_of(const struct mmsghdr *messages, int count) {
  size_t bytes = 0;
  for (int i = 0; i < count; i++) bytes += messages[i].msg_len;
  return bytes;
}

/* ---- the calls ---- */

EXPORT ssize_t read(int fd, void *to, size_t bytes) {
  if (LIKELY(!moves_network_bytes(fd, bytes))) return NEXT_CALL(read)(fd, to, bytes);
  return received(NEXT_CALL(read)(fd, to, bytes));
}

EXPORT ssize_t write(int fd, const void *from, size_t bytes) {
  if (LIKELY(!moves_network_bytes(fd, bytes))) return NEXT_CALL(write)(fd, from, bytes);
  return sent(NEXT_CALL(write)(fd, from, bytes));
}

EXPORT ssize_t readv(int fd, const struct iovec *parts, int count) {
  if (LIKELY(!is_socket(fd))) return NEXT_CALL(readv)(fd, parts, count);
  return received(NEXT_CALL(readv)(fd, parts, count));
}

EXPORT ssize_t writev(int fd, const struct iovec *parts, int count) {
  if (LIKELY(!is_socket(fd))) return NEXT_CALL(writev)(fd, parts, count);
  return sent(NEXT_CALL(writev)(fd, parts, count));
}

EXPORT ssize_t send(int fd, const void *from, size_t bytes, int flags) {
  return sent(NEXT_CALL(send)(fd, from, bytes, flags));
}

EXPORT ssize_t sendto(int fd, const void *from, size_t bytes, int flags, __CONST_SOCKADDR_ARG address,
                      socklen_t length) {
  return sent(NEXT_CALL(sendto)(fd, from, bytes, flags, address, length));
}

EXPORT ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  return sent(NEXT_CALL(sendmsg)(fd, message, flags));
}

EXPORT int sendmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags) {
  int done = NEXT_CALL(sendmmsg)(fd, messages, count, flags);
  if (done > 0) sent((ssize_t)size_of(messages, done));
  return done;
}

EXPORT ssize_t recv(int fd, void *to, size_t bytes, int flags) {
  return received_with(NEXT_CALL(recv)(fd, to, bytes, flags), flags);
}

EXPORT ssize_t recvfrom(int fd, void *restrict to, size_t bytes, int flags, __SOCKADDR_ARG address,
                        socklen_t *restrict length) {
  return received_with(NEXT_CALL(recvfrom)(fd, to, bytes, flags, address, length), flags);
}

EXPORT ssize_t recvmsg(int fd, struct msghdr *message, int flags) {
  return received_with(NEXT_CALL(recvmsg)(fd, message, flags), flags);
}

EXPORT int recvmmsg(int fd, struct mmsghdr *messages, unsigned count, int flags, struct timespec *timeout) {
  int done = NEXT_CALL(recvmmsg)(fd, messages, count, flags, timeout);
  if (done > 0) received_with((ssize_t)size_of(messages, done), flags);
  return done;
}

/* From a file, so only the first descriptor can be a socket. */
EXPORT ssize_t sendfile(int to, int from, off_t *offset, size_t bytes) {
  if (LIKELY(!moves_network_bytes(to, bytes))) return NEXT_CALL(sendfile)(to, from, offset, bytes);
  return sent(NEXT_CALL(sendfile)(to, from, offset, bytes));
}

EXPORT ssize_t sendfile64(int to, int from, off64_t *offset, size_t bytes) {
  if (LIKELY(!moves_network_bytes(to, bytes))) return NEXT_CALL(sendfile64)(to, from, offset, bytes);
  return sent(NEXT_CALL(sendfile64)(to, from, offset, bytes));
}

EXPORT ssize_t splice(int from, off64_t *from_offset, int to, off64_t *to_offset, size_t bytes,
                      unsigned flags) {
  bool in = moves_network_bytes(from, bytes), out = moves_network_bytes(to, bytes);
  ssize_t moved = NEXT_CALL(splice)(from, from_offset, to, to_offset, bytes, flags);
  if (in) received(moved);
  if (out) sent(moved);
  return moved;
}

/* Forgotten before: another thread may be given the number at once. */
EXPORT int close(int fd) {
  if (fd >= 0 && fd < KNOWN && kinds[fd] != UNKNOWN) kinds[fd] = UNKNOWN;
  return NEXT_CALL(close)(fd);
}

void rf_sockets_start(bool on) {
  find_next();
  counting = on;
}
