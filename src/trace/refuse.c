/*
 * Timing puts a frame between a function and its caller. That is invisible to all but functions that return
 * twice through the saved return address, ask who called them, or are entered by other means than a call.
 */
#include "trace/refuse.h"

#include <stddef.h>
#include <string.h>

struct refusal {
  const char *name, *reason;
};

#define TWICE "it returns twice"
#define CALLER "it asks for its caller"
#define NO_CALL "it is not entered by a call"
#define UNWINDER "it is part of the unwinder"
#define OTHER_PROFILER "it is another profiler's entry"

static const struct refusal refusals[] = {
    {"setjmp", TWICE},
    {"_setjmp", TWICE},
    {"__setjmp", TWICE},
    {"sigsetjmp", TWICE},
    {"__sigsetjmp", TWICE},
    {"__sigjmp_save", TWICE},
    {"getcontext", TWICE},
    {"__getcontext", TWICE},
    {"swapcontext", TWICE},
    {"__swapcontext", TWICE},
    {"savectx", TWICE},
    {"vfork", TWICE},
    {"__vfork", TWICE},
    {"__libc_vfork", TWICE},
    {"clone", TWICE},
    {"__clone", TWICE},
    {"clone3", TWICE},
    {"__clone3", TWICE},
    {"__clone_internal", TWICE},
    {"__start_context", NO_CALL},
    {"dlopen", CALLER},
    {"dlmopen", CALLER},
    {"dlsym", CALLER},
    {"dlvsym", CALLER},
    {"__libc_dlsym", CALLER},
    {"___dlopen", CALLER},
    {"___dlmopen", CALLER},
    {"___dlsym", CALLER},
    {"___dlvsym", CALLER},
    {"dlopen_implementation", CALLER},
    {"dlsym_implementation", CALLER},
    {"__dlsym", CALLER},
    {"__dlopen", CALLER},
    {"_start", NO_CALL},
    {"__restore_rt", NO_CALL},
    {"_dl_runtime_resolve", NO_CALL},
    {"__morestack", NO_CALL},
    {"__libc_start_main", NO_CALL},
    {"__libc_start_main_impl", NO_CALL},
    {"__libc_start_call_main", NO_CALL},
    {"mcount", OTHER_PROFILER},
    {"_mcount", OTHER_PROFILER},
    {"__fentry__", OTHER_PROFILER},
    {"__cyg_profile_func_enter", OTHER_PROFILER},
    {"__cyg_profile_func_exit", OTHER_PROFILER},
    {"__tls_get_addr", "it has a calling convention of its own"},
    {"_dl_tlsdesc_dynamic", "it has a calling convention of its own"},
    {"__gxx_personality_v0", UNWINDER},
    {"__gcc_personality_v0", UNWINDER},
    {"uw_init_context_1", UNWINDER},
    {"uw_install_context_1", UNWINDER},
    {"uw_frame_state_for", UNWINDER},
    {"uw_update_context", UNWINDER},
    {"_dl_find_object", UNWINDER},
    {"dl_iterate_phdr", UNWINDER},
};

/* V8 finds its frames by the return addresses of what its generated code calls. In mangled names. */
static bool is_called_by_v8(const char *name) {
  static const char *const parts[] = {"FunctionCallbackInfo", "PropertyCallbackInfo", "Runtime_", "Builtin_"};
  if (!strncmp(name, "Builtins_", 9)) return true;
  if (strncmp(name, "_Z", 2)) return false;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (strstr(name, parts[i])) return true;
  return false;
}

const char *rf_refuse_name(const char *module, const char *name) {
  if (!strncmp(module, "ld-linux", 8)) return "it belongs to the dynamic loader";
  if (!strncmp(module, "linux-vdso", 10) || module[0] == '[') return "it belongs to the kernel's vDSO";
  if (!strncmp(module, "libjvm.so", 9))
    return "a virtual machine finds its frames by the return addresses of what it calls here";
  if (!strncmp(module, "libZydis", 8) || !strncmp(module, "libZycore", 9))
    return "Refunc itself uses this library";
  if (!strncmp(name, "_Unwind_", 8) || !strncmp(name, "_Ux86_64_", 9) || !strncmp(name, "_ULx86_64_", 10))
    return UNWINDER;
  if (is_called_by_v8(name))
    return "a virtual machine finds its frames by the return addresses of what it calls here";
  for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
    if (!strcmp(refusals[i].name, name)) return refusals[i].reason;
  return NULL;
}

/*
 * These collectors look for references in stacks and registers only. What a caller keeps in rbx lies in a
 * record during a timed call, where they don't look. (Boehm's also looks into libraries' data, where records
 * are.)
 */
const char *rf_refuse_process(const char *module) {
  static const char *const collectors[] = {"libruby", "ruby", "libjulia", "emacs", "libmono", "libmozjs"};
  for (size_t i = 0; i < sizeof collectors / sizeof *collectors; i++)
    if (!strncmp(module, collectors[i], strlen(collectors[i])))
      return "the process has a conservative garbage collector that does not see registers which timing "
             "keeps";
  return NULL;
}

bool rf_collector_scans_data(const char *module) {
  return !strncmp(module, "libgc.so", 8) || !strncmp(module, "libomcgc.so", 11);
}
