/*
 * Exceptions that are none of C++'s pass through traced frames: raised and forced with the unwinder's own functions, in C frames with
 * cleanups, caught by catch (...); and C++'s, thrown on from another thread, in a destructor's company, out of a signal handler.
 * flags: -O2 -pthread -fnon-call-exceptions
 * flags: -O0 -pthread -fnon-call-exceptions
 * flags: -O2 -pthread -fnon-call-exceptions -static-libgcc -static-libstdc++
 * trace: raises, forces, between, faults, rethrows, catches
 * option: timing.budget=off
 * calls: raises 100
 * unwound: raises 100
 * calls: forces 100
 * unwound: forces 100
 * calls: faults 100
 * unwound: faults 100
 * calls: rethrows 100
 * unwound: rethrows 100
 * calls: between 300
 * unwound: between 300
 * calls: catches 300
 * unwound: catches 0
 * expect: all(f["open"] == 0 for f in r.functions)
 */
#include <setjmp.h>
#include <signal.h>
#include <unwind.h>

#include <cstring>
#include <exception>
#include <stdexcept>
#include <thread>

#include "case.h"

static int cleaned, deleted;
struct Cleanup {
  ~Cleanup() { cleaned++; }
};

static void gone(_Unwind_Reason_Code, _Unwind_Exception *exception) {
  deleted++;
  delete exception;
}
static _Unwind_Exception *foreign() {
  auto *exception = new _Unwind_Exception;
  memset(static_cast<void *>(exception), 0, sizeof *exception);
  exception->exception_class = 0x4f5448455200; /* "OTHER" */
  exception->exception_cleanup = gone;
  return exception;
}

static thread_local jmp_buf target;
static _Unwind_Reason_Code to_the_end(int, _Unwind_Action actions, _Unwind_Exception_Class, _Unwind_Exception *exception,
                                      struct _Unwind_Context *context, void *until) {
  if (actions & _UA_END_OF_STACK || _Unwind_GetCFA(context) > (_Unwind_Word)until) {
    delete exception;
    longjmp(target, 1);
  }
  return _URC_NO_REASON;
}

extern "C" {
TRACED int raises(int x) {
  LONG;
  _Unwind_RaiseException(foreign());
  return x;
}
TRACED int forces(int x, void *until) {
  LONG;
  _Unwind_ForcedUnwind(foreign(), to_the_end, until);
  return x;
}
TRACED int faults(volatile int *x) {
  LONG;
  return *x;
}
TRACED int rethrows(std::exception_ptr *from) {
  LONG;
  std::rethrow_exception(*from);
}
TRACED int between(int how, int x, void *other) {
  Cleanup cleanup;
  int result = how == 0 ? raises(x) : how == 1 ? faults(static_cast<volatile int *>(other)) : how == 2 ? rethrows(static_cast<std::exception_ptr *>(other)) : forces(x, other);
  return result + 1;
}
TRACED int catches(int how, int x, void *other) {
  try {
    return between(how, x, other);
  } catch (const std::out_of_range &error) {
    return strcmp(error.what(), "elsewhere") ? 0 : 3;
  } catch (const char *text) {
    return text[0];
  } catch (...) {
    return -x;
  }
}
}

static void handler(int) {
  throw "fault";
}

/* Forced unwinding ends in a frame of its own choice; what it passes is cleaned up. */
__attribute__((noinline)) static void forced(int x) {
  if (!setjmp(target)) forces(x, __builtin_frame_address(0));
}

int main() {
  std::exception_ptr elsewhere;
  std::thread([&] {
    try {
      throw std::out_of_range("elsewhere");
    } catch (...) {
      elsewhere = std::current_exception();
    }
  }).join();
  struct sigaction action = {};
  action.sa_handler = handler;
  action.sa_flags = SA_NODEFER;
  sigaction(SIGSEGV, &action, nullptr);
  for (int i = 0; i < 100; i++) {
    REQUIRE(catches(0, i, nullptr) == -i);
    REQUIRE(catches(1, i, nullptr) == 'f');
    REQUIRE(catches(2, i, &elsewhere) == 3);
    forced(i);
  }
  REQUIRE(cleaned == 300 && deleted == 100 && !std::uncaught_exceptions());
}
