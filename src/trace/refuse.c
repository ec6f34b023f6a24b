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
    {"__syscall_cancel_arch", "signal handlers know its instructions by their places"},
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

static bool begins(const char *name, const char *const *beginnings, size_t count) {
  for (size_t i = 0; i < count; i++)
    if (!strncmp(name, beginnings[i], strlen(beginnings[i]))) return true;
  return false;
}

/* LuaJIT's interpreter: one program of assembly, whose parts jump to each other. */
static bool is_part_of_luajit(const char *name) {
  static const char *const parts[] = {"lj_BC_", "lj_vm_", "lj_cont_", "lj_ff_", "lj_fff_", "lj_vmeta_"};
  return begins(name, parts, sizeof parts / sizeof *parts);
}

/* What OCaml compiles is named after its modules; the rest is made by its linker or in assembly. */
static bool is_ocaml(const char *name) {
  static const char *const made[] = {"caml_apply",
                                     "caml_curry",
                                     "caml_tuplify",
                                     "caml_send",
                                     "caml_startup__",
                                     "caml_program",
                                     "caml_perform",
                                     "caml_reperform",
                                     "caml_resume",
                                     "caml_runstack",
                                     "caml_call_realloc_stack",
                                     "caml_call_gc",
                                     "caml_alloc1",
                                     "caml_alloc2",
                                     "caml_alloc3",
                                     "caml_allocN",
                                     "caml_c_call",
                                     "caml_start_program",
                                     "caml_raise_exn",
                                     "caml_raise_exception",
                                     "caml_callback_asm",
                                     "caml_callback2_asm",
                                     "caml_callback3_asm",
                                     "caml_ml_array_bound_error"};
  if (strncmp(name, "caml", 4)) return false;
  return (name[4] >= 'A' && name[4] <= 'Z') || begins(name, made, sizeof made / sizeof *made);
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
  if (is_part_of_luajit(name)) return NO_CALL;
  if (!strncmp(name, "OUTLINED_FUNCTION_", 18)) return "it is a piece of others' code, and may pass flags";
  if (is_ocaml(name)) return "OCaml finds its frames by their return addresses";
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
