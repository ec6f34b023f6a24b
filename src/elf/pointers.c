/*
 * Which addresses of a module its own data holds. A library's data is relocated, so that its relocations name
 * them all, also before the loader has done them:
 *
 *   DT_RELA   (place, kind, addend): the addend
 *   DT_RELR   bit maps of places: the word there, with or without the load address
 *
 * An executable with fixed addresses has none of these: its words are looked at.
 */
#include <elf.h>
#include <errno.h>
#include <string.h>

#include "arch/arch.h"
#include "elf/module.h"

#ifndef DT_RELR
#define DT_RELRSZ 35
#define DT_RELR 36
#endif

struct table {
  uintptr_t start;
  size_t bytes;
};

struct pointers {
  const struct rf_module *module;
  void (*visit)(void *user, uintptr_t address);
  void *user;
};

/* The loader replaces offsets by addresses where it may write; both forms are understood. */
static uintptr_t dynamic_address(const struct rf_module *module, uintptr_t value) {
  if (!value || rf_module_readable(module, value)) return value;
  return rf_module_readable(module, module->load_address + value) ? module->load_address + value : 0;
}

static void read_dynamic(const struct rf_module *module, struct table *rela, struct table *relr) {
  const Elf64_Phdr *headers = module->program_headers;
  for (size_t i = 0; i < module->program_header_count; i++) {
    if (headers[i].p_type != PT_DYNAMIC) continue;
    uintptr_t at = module->load_address + headers[i].p_vaddr;
    size_t count = rf_module_readable(module, at) / sizeof(Elf64_Dyn);
    for (const Elf64_Dyn *entry = (const Elf64_Dyn *)at; count-- && entry->d_tag != DT_NULL; entry++) {
      if (entry->d_tag == DT_RELA) rela->start = dynamic_address(module, entry->d_un.d_ptr);
      if (entry->d_tag == DT_RELR) relr->start = dynamic_address(module, entry->d_un.d_ptr);
      if (entry->d_tag == DT_RELASZ) rela->bytes = entry->d_un.d_val;
      if (entry->d_tag == DT_RELRSZ) relr->bytes = entry->d_un.d_val;
    }
  }
}

/* As far as the file fills it. */
static size_t entries_of(const struct pointers *p, struct table table, size_t entry_bytes) {
  size_t readable = rf_module_readable(p->module, table.start);
  return (table.bytes < readable ? table.bytes : readable) / entry_bytes;
}

static void visit_rela(const struct pointers *p, struct table table) {
  const Elf64_Rela *entry = (const Elf64_Rela *)table.start;
  for (size_t left = entries_of(p, table, sizeof *entry); left; left--, entry++)
    if (ELF64_R_TYPE(entry->r_info) == RF_RELOCATION_RELATIVE)
      p->visit(p->user, p->module->load_address + (uintptr_t)entry->r_addend);
}

static void visit_place(const struct pointers *p, uintptr_t place) {
  uintptr_t value;
  if (rf_module_readable(p->module, place) < sizeof value) return;
  memcpy(&value, (const void *)place, sizeof value);
  bool moved = value >= p->module->load_address; /* the loader has been there */
  p->visit(p->user, moved ? value : p->module->load_address + value);
}

static void visit_relr(const struct pointers *p, struct table table) {
  const uint64_t *entry = (const uint64_t *)table.start;
  uintptr_t place = 0;
  for (size_t left = entries_of(p, table, sizeof *entry); left; left--, entry++) {
    if (!(*entry & 1)) {
      place = p->module->load_address + *entry;
      visit_place(p, place);
      place += sizeof(uintptr_t);
      continue;
    }
    for (uint64_t bits = *entry >> 1, at = place; bits; bits >>= 1, at += sizeof(uintptr_t))
      if (bits & 1) visit_place(p, at);
    place += 63 * sizeof(uintptr_t);
  }
}

/* 0 or 1; no bool, so that several can be looked at without a jump between them. */
static inline unsigned is_text(const struct pointers *p, uintptr_t word) {
  return word - p->module->text_start < p->module->text_end - p->module->text_start;
}

static void visit_each(const struct pointers *p, const uintptr_t *word, const uintptr_t *end) {
  for (; word < end; word++)
    if (is_text(p, *word)) p->visit(p->user, *word);
}

/* A running program may have taken pages of its data away from itself: a call that does nothing tells, which
 * no filter of system calls forbids. */
static bool is_readable(uintptr_t page) {
  enum { NOTHING_TO_DO = 99 };
  return rf_syscall(SYS_rt_sigprocmask, NOTHING_TO_DO, page, NULL, sizeof(uint64_t)) != -EFAULT;
}

static void visit_page(const struct pointers *p, uintptr_t from, uintptr_t end) {
  const uintptr_t *word = (const uintptr_t *)((from + sizeof *word - 1) & ~(sizeof *word - 1));
  const uintptr_t *behind = word + (end > (uintptr_t)word ? (end - (uintptr_t)word) / sizeof *word : 0);
  for (; word + 4 <= behind; word += 4)
    if (is_text(p, word[0]) | is_text(p, word[1]) | is_text(p, word[2]) | is_text(p, word[3]))
      visit_each(p, word, word + 4); /* seldom */
  visit_each(p, word, behind);
}

static void visit_words(const struct pointers *p) {
  enum { PAGE = 4096 };
  const Elf64_Phdr *headers = p->module->program_headers;
  for (size_t i = 0; i < p->module->program_header_count; i++) {
    if (headers[i].p_type != PT_LOAD || !(headers[i].p_flags & PF_R)) continue;
    uintptr_t start = p->module->load_address + headers[i].p_vaddr, end = start + headers[i].p_filesz;
    for (uintptr_t at = start, next; at < end; at = next) {
      next = (at | (PAGE - 1)) + 1;
      if (!(headers[i].p_flags & PF_W) || is_readable(at & ~(uintptr_t)(PAGE - 1)))
        visit_page(p, at, next < end ? next : end);
    }
  }
}

void rf_module_pointers_visit(const struct rf_module *module, void (*visit)(void *user, uintptr_t address),
                              void *user) {
  const struct pointers p = {module, visit, user};
  struct table rela = {0}, relr = {0};
  read_dynamic(module, &rela, &relr);
  if (rela.start) visit_rela(&p, rela);
  if (relr.start) visit_relr(&p, relr);
  if (!module->load_address) visit_words(&p);
}
