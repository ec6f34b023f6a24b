/*
 * See change.h. The tool has one of the app's threads run serve(), wherever that thread was, as a signal
 * handler would: so a thread that is inside Refunc or the loader declines. No thread of Refunc's own could do
 * it: the sampler's has no libc, and a pthread would end the fast paths of a single-threaded app. The
 * function never returns: the tool gives the thread its registers back.
 */
#include "session/change.h"

#include <linux/futex.h>
#include <stdbool.h>
#include <string.h>

#include "arch/arch.h"
#include "base/change.h"
#include "base/quiet.h"
#include "base/thread.h"
#include "elf/loader.h"
#include "recording/writer.h"
#include "session/functions.h"

#define STACK_BYTES 16384

static struct rf_change box;
static char stack[STACK_BYTES] __attribute__((aligned(64)));

static bool at_a_bad_time(void) {
  return rf_internal_depth() || !rf_loader_consistent() || !rf_recording_header() ||
         rf_recording_header()->pid != (uint32_t)rf_syscall(SYS_getpid);
}

static void perform(void) {
  if (rf_quiet()) {
    box.result = RF_CHANGE_REFUSED;
    strncpy(box.text, "the process has installed a system call filter", sizeof box.text - 1);
    return;
  }
  if (at_a_bad_time()) {
    box.result = RF_CHANGE_BUSY;
    return;
  }
  rf_internal_enter();
  rf_functions_change(&box);
  rf_internal_leave();
}

static _Noreturn void serve(void) {
  perform();
  __atomic_store_n(&box.state, RF_CHANGE_ANSWERED, __ATOMIC_RELEASE);
  for (;;) rf_syscall(SYS_futex, &box.state, FUTEX_WAIT, RF_CHANGE_ANSWERED, 0);
}

void rf_change_offer(void) {
  struct rf_header *header = rf_recording_header();
  header->change_box = (uintptr_t)&box;
  header->change_stack = (uintptr_t)stack + sizeof stack;
  rf_functions_own_code(&header->code_low, &header->code_high);
  header->change_entry = (uintptr_t)serve;
}
