/* See preflight.h. */
#include "cli/preflight.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "cli/command.h"

#define SCRIPT_DEPTH 4 /* the kernel's own limit on interpreters of interpreters */

/* --- finding --- */

static bool is_file(const char *path) {
  struct stat status;
  return stat(path, &status) == 0 && !S_ISDIR(status.st_mode);
}

static int judge_named(const char *path) {
  struct stat status;
  if (stat(path, &status) < 0)
    return rf_fail(errno == EACCES ? RF_NOT_EXECUTABLE : RF_NOT_FOUND, "%s: %m", path);
  if (S_ISDIR(status.st_mode)) return rf_fail(RF_NOT_EXECUTABLE, "%s: is a directory", path);
  if (access(path, X_OK) < 0) return rf_fail(RF_NOT_EXECUTABLE, "%s: %m", path);
  return RF_OK;
}

int rf_find_program(const char *name, char *path, size_t size) {
  if (strchr(name, '/')) {
    snprintf(path, size, "%s", name);
    return judge_named(path);
  }
  const char *folders = rf_variable("PATH");
  bool found = false;
  for (const char *at = folders ? folders : "/usr/local/bin:/usr/bin:/bin"; at && *name;) {
    size_t length = strcspn(at, ":");
    snprintf(path, size, "%.*s%s%s", (int)length, at, length ? "/" : "./", name);
    if (is_file(path) && access(path, X_OK) == 0) return RF_OK;
    found |= is_file(path);
    at = at[length] ? at + length + 1 : NULL;
  }
  if (found) return rf_fail(RF_NOT_EXECUTABLE, "%s: found on PATH, but not executable", name);
  return rf_fail(RF_NOT_FOUND, "%s: no such program on PATH", name);
}

/* --- ELF --- */

static bool refuse(char *why, size_t size, const char *path, const char *reason) {
  snprintf(why, size, "%s %s", path, reason);
  return false;
}

/* The loader that a dynamic program names; empty when it names none. */
static bool read_interpreter(int fd, const Elf64_Ehdr *header, char *interpreter, size_t size,
                             bool *dynamic) {
  Elf64_Phdr segment;
  *interpreter = 0;
  *dynamic = false;
  for (unsigned i = 0; i < header->e_phnum && header->e_phentsize == sizeof segment; i++) {
    off_t place = (off_t)(header->e_phoff + (uint64_t)i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, place) != sizeof segment) return false;
    *dynamic |= segment.p_type == PT_DYNAMIC;
    if (segment.p_type != PT_INTERP) continue;
    size_t length = segment.p_filesz < size ? segment.p_filesz : size - 1;
    ssize_t n = pread(fd, interpreter, length, (off_t)segment.p_offset);
    if (n < 0) return false;
    interpreter[n] = 0;
  }
  return true;
}

static bool judge_elf(int fd, const char *path, char *why, size_t size) {
  Elf64_Ehdr header;
  char interpreter[PATH_MAX];
  bool dynamic;
  if (pread(fd, &header, sizeof header, 0) != sizeof header)
    return refuse(why, size, path, "is a truncated ELF file");
  if (header.e_ident[EI_CLASS] == ELFCLASS32)
    return refuse(why, size, path, "is a 32-bit program: the library is 64-bit and can't be loaded into it");
  if (header.e_machine != EM_X86_64)
    return refuse(why, size, path, "is a program for another machine than x86-64");
  if (!read_interpreter(fd, &header, interpreter, sizeof interpreter, &dynamic))
    return refuse(why, size, path, "has program headers that can't be read");
  if (!*interpreter)
    return refuse(
        why, size, path,
        "is statically linked: there is no dynamic loader that would load the library; link it dynamically");
  if (strstr(interpreter, "musl"))
    return refuse(why, size, path, "is linked with musl: the library needs glibc");
  return true;
}

/* The loader drops LD_PRELOAD where the program gains privileges. */
static bool judge_privileges(int fd, const char *path, char *why, size_t size) {
  struct stat status;
  if (fstat(fd, &status) < 0) return true;
  bool gains_user = (status.st_mode & S_ISUID) && status.st_uid != getuid();
  bool gains_group = (status.st_mode & S_ISGID) && status.st_gid != getgid();
  if (gains_user || gains_group)
    return refuse(why, size, path,
                  "is setuid or setgid: the loader ignores LD_PRELOAD there; run it as its owner");
  if (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0)
    return refuse(why, size, path,
                  "has file capabilities: the loader ignores LD_PRELOAD there; run it as root");
  return true;
}

/* "#!INTERPRETER [ARGUMENT]": 1 and the interpreter, 0 when it is no script. */
static int read_shebang(int fd, char *interpreter, size_t size) {
  char line[512];
  ssize_t n = pread(fd, line, sizeof line - 1, 0);
  if (n < 2 || line[0] != '#' || line[1] != '!') return 0;
  line[n] = 0;
  line[strcspn(line, "\n")] = 0;
  const char *start = line + 2 + strspn(line + 2, " \t");
  snprintf(interpreter, size, "%.*s", (int)strcspn(start, " \t"), start);
  return 1;
}

static bool judge_file(const char *path, char *loaded, size_t size, char *why, size_t why_size, int depth) {
  char interpreter[512];
  unsigned char magic[4] = {0};
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  snprintf(loaded, size, "%s", path);
  if (fd < 0) return errno == EACCES; /* executable but not readable: let the loader decide */
  bool good;
  if (pread(fd, magic, 4, 0) == 4 && memcmp(magic, ELFMAG, 4) == 0)
    good = judge_privileges(fd, path, why, why_size) && judge_elf(fd, path, why, why_size);
  else if (read_shebang(fd, interpreter, sizeof interpreter) && depth < SCRIPT_DEPTH)
    good = judge_file(interpreter, loaded, size, why, why_size, depth + 1);
  else
    good = judge_file("/bin/sh", loaded, size, why, why_size,
                      SCRIPT_DEPTH); /* run by the shell, as execvp does */
  close(fd);
  return good;
}

bool rf_preloadable(const char *path, char *loaded, size_t size, char *why, size_t why_size) {
  *why = 0;
  if (judge_file(path, loaded, size, why, why_size, 0)) return true;
  if (!*why) snprintf(why, why_size, "%s: %m", loaded);
  return false;
}

/* --- sanitizers --- */

/* The file offset of a virtual address; 0: none. */
static off_t offset_of(int fd, const Elf64_Ehdr *header, uint64_t address) {
  Elf64_Phdr segment;
  for (unsigned i = 0; i < header->e_phnum; i++) {
    off_t place = (off_t)(header->e_phoff + (uint64_t)i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, place) != sizeof segment) return 0;
    if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
        address - segment.p_vaddr < segment.p_filesz)
      return (off_t)(segment.p_offset + (address - segment.p_vaddr));
  }
  return 0;
}

/* Where the dynamic section lies; its entries end with DT_NULL. */
static off_t dynamic_section(int fd, const Elf64_Ehdr *header) {
  Elf64_Phdr segment;
  for (unsigned i = 0; i < header->e_phnum && header->e_phentsize == sizeof segment; i++) {
    off_t place = (off_t)(header->e_phoff + (uint64_t)i * sizeof segment);
    if (pread(fd, &segment, sizeof segment, place) != sizeof segment) return 0;
    if (segment.p_type == PT_DYNAMIC) return (off_t)segment.p_offset;
  }
  return 0;
}

static bool is_sanitizer(const char *name) {
  static const char *const runtimes[] = {"libasan.so", "libtsan.so", "liblsan.so", "libclang_rt.asan",
                                         "libclang_rt.tsan"};
  for (size_t i = 0; i < sizeof runtimes / sizeof *runtimes; i++)
    if (strncmp(name, runtimes[i], strlen(runtimes[i])) == 0) return true;
  return false;
}

static bool find_needed_sanitizer(int fd, char *name, size_t size) {
  Elf64_Ehdr header;
  Elf64_Dyn entry;
  if (pread(fd, &header, sizeof header, 0) != sizeof header) return false;
  off_t dynamic = dynamic_section(fd, &header), strings = 0;
  for (off_t at = dynamic;
       at && pread(fd, &entry, sizeof entry, at) == sizeof entry && entry.d_tag != DT_NULL;
       at += (off_t)sizeof entry)
    if (entry.d_tag == DT_STRTAB) strings = offset_of(fd, &header, entry.d_un.d_ptr);
  for (off_t at = dynamic;
       strings && pread(fd, &entry, sizeof entry, at) == sizeof entry && entry.d_tag != DT_NULL;
       at += (off_t)sizeof entry) {
    if (entry.d_tag != DT_NEEDED) continue;
    ssize_t n = pread(fd, name, size - 1, strings + (off_t)entry.d_un.d_val);
    name[n > 0 ? n : 0] = 0;
    if (is_sanitizer(name)) return true;
  }
  return false;
}

bool rf_sanitizer_runtime(const char *path, char *name, size_t size) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  bool found = find_needed_sanitizer(fd, name, size);
  close(fd);
  return found;
}

/* --- the library --- */

bool rf_find_library(char *path, size_t size, char *why, size_t why_size) {
  static const char *const places[] = {"../../preload", "../preload", "../lib/refunc",
                                       "../lib/*",      "../lib",     "../lib64"};
  char own[PATH_MAX], pattern[PATH_MAX + 64];
  ssize_t n = readlink("/proc/self/exe", own, sizeof own - 1);
  own[n > 0 ? n : 0] = 0;
  char *slash = strrchr(own, '/');
  if (slash) *slash = 0;
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/%s/librefunc_preload.so", own, places[i]);
    if (glob(pattern, 0, NULL, &found) == 0) {
      char *real = realpath(found.gl_pathv[0], NULL);
      snprintf(path, size, "%s", real ? real : found.gl_pathv[0]);
      free(real);
      globfree(&found);
      return true;
    }
  }
  snprintf(why, why_size, "librefunc_preload.so is neither in %s/../lib nor in a build folder beside it",
           own);
  return false;
}
