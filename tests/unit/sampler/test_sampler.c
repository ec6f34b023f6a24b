/* Runs every case of sampler_driver in a process of its own: the sampler is about whole processes. */
#include <criterion/criterion.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void run(const char *name, const char *library_path, const char *fake) {
  if (library_path)
    setenv("LD_LIBRARY_PATH", library_path, 1);
  else
    unsetenv("LD_LIBRARY_PATH");
  if (fake) setenv("FAKE_NVML", fake, 1);
  char *const arguments[] = {SAMPLER_DRIVER, (char *)name, NULL};
  pid_t child;
  int status;
  cr_assert_eq(posix_spawn(&child, SAMPLER_DRIVER, NULL, NULL, arguments, environ), 0);
  cr_assert_eq(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) cr_skip_test("this machine can't tell");
  cr_assert_eq(status, 0, "sampler_driver %s: status 0x%x", name, (unsigned)status);
}

#define CASE(name, text)                                                                                     \
  Test(sampler, name, .timeout = 60) { run(text, NULL, NULL); }
CASE(cpu, "cpu")
CASE(cost, "cost")
CASE(memory, "memory")
CASE(disk, "disk")
CASE(network, "network")
CASE(join, "join")
CASE(single_threaded_to_libc, "single")
CASE(descriptors, "descriptors")
CASE(pipes_end, "eof")
CASE(pipes_end_without_close_range, "eof-without-close-range")
CASE(thread_refused, "refused")
CASE(seccomp, "seal")
CASE(privileges, "retire")
CASE(privileges_then_seccomp, "retire-seal")
CASE(alone, "alone")
CASE(forked, "fork")
CASE(again, "again")
CASE(at_once, "short")
CASE(floating_point_exceptions, "fpu")
CASE(signals, "signals")
CASE(stopped, "stopped")
CASE(no_open_files, "nofile")
CASE(killed, "killed")
CASE(off, "off")
CASE(rss_alert, "alert")
CASE(hidden_files, "hidden")
CASE(gpu_missing, "gpu-missing")
CASE(gpu_off, "gpu-off")

Test(sampler, gpu_process) { run("gpu-process", FAKE_NVML_FULL, NULL); }
Test(sampler, gpu_device) { run("gpu-device", FAKE_NVML_FULL, "device"); }
Test(sampler, gpu_garbage) { run("gpu-garbage", FAKE_NVML_FULL, "garbage"); }
Test(sampler, gpu_slow) { run("gpu-slow", FAKE_NVML_FULL, "slow"); }
Test(sampler, gpu_sparse) { run("gpu-sparse", FAKE_NVML_SPARSE, NULL); }
