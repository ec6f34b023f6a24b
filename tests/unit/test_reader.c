/* The recording's reader: against living writers, killed ones, and files that were damaged in every way. */
#include <criterion/criterion.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/log.h"
#include "recording/live.h"
#include "recording/reader.h"
#include "recording/writer.h"
#include "recording_sample.h"
#include "recording_walk.h"

static char folder[256], output[512], error[512];

static void setup(void) {
  snprintf(output, sizeof output, "%s/app.rfn", fresh_folder(folder));
  rf_log_setup(-1, RF_LOG_ERROR, 0);
}
static void teardown(void) { remove_folder(folder); }
TestSuite(reader, .init = setup, .fini = teardown, .timeout = 100);

/* ---- a living writer ---- */

/* Everything in an entry follows from its number, so that a reader can tell a whole one from a half one. */
static void expected_text(char *text, size_t size, unsigned thread, uint64_t number) {
  int length = snprintf(text, size, "t%u-%llu-", thread, (unsigned long long)number);
  for (unsigned i = 0; i < number % 150 && (size_t)length + 1 < size; i++)
    text[length++] = (char)('a' + i % 26);
  text[length] = 0;
}

static struct rf_thread_entry *threads[8];
static unsigned most;

static void append_slot(unsigned thread, uint64_t number) {
  struct rf_slot *slot = rf_table_append(&threads[thread]->slots, RF_TABLE_SLOT, sizeof *slot, 5);
  uint64_t *octave = rf_recording_alloc(RF_SUBBUCKETS * sizeof *octave);
  if (!slot || !octave) _exit(9);
  slot->function = thread;
  slot->counted = number;
  slot->sum = number * 7919;
  for (unsigned i = 0; i < RF_SUBBUCKETS; i++) octave[i] = number + i;
  slot->octave[number % RF_OCTAVES] = rf_recording_ref(octave);
  rf_table_publish(threads[thread]->slots);
}

static void *append_forever(void *number) {
  unsigned thread = (unsigned)(uintptr_t)number;
  char text[256];
  for (uint64_t i = 0; i < most; i++) {
    expected_text(text, sizeof text, thread, i);
    rf_record_fact(text, text);
    append_slot(thread, i);
    if (i % 8 == 0) usleep(300);
  }
  return NULL;
}

/* In a child: 8 threads append until they have enough; then it waits to be killed. */
static void run_writer(int announce) {
  pthread_t ids[8];
  start_recording(output);
  rf_ref *root = rf_recording_root(RF_TABLE_THREAD);
  for (int i = 0; i < 8; i++) {
    threads[i] = rf_table_append(root, RF_TABLE_THREAD, sizeof *threads[i], 3);
    rf_table_publish(*root);
  }
  if (write(announce, "r", 1) != 1) _exit(8);
  for (uintptr_t i = 0; i < 8; i++) pthread_create(&ids[i], NULL, append_forever, (void *)i);
  for (int i = 0; i < 8; i++) pthread_join(ids[i], NULL);
  pause();
}

static pid_t start_writer(void (*body)(int announce), int *announced) {
  int ends[2];
  char ready;
  cr_assert_eq(pipe(ends), 0);
  pid_t child = fork();
  cr_assert_geq(child, 0);
  if (child == 0) {
    close(ends[0]);
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test must not leave it */
    body(ends[1]);
    _exit(0);
  }
  close(ends[1]);
  cr_assert_eq(read(ends[0], &ready, 1), 1);
  *announced = ends[0];
  return child;
}

static void end_writer(pid_t child, int announced) {
  kill(child, SIGKILL);
  waitpid(child, NULL, 0);
  close(announced);
}

static void check_slots(const struct rf_reader *reader, rf_ref root, unsigned thread, uint64_t *seen) {
  struct rf_cursor cursor = rf_cursor_at(reader, root, RF_TABLE_SLOT);
  struct rf_slot slot;
  uint64_t number = 0;
  for (; rf_cursor_next(&cursor, &slot, sizeof slot); number++) {
    cr_assert_eq(slot.counted, number);
    cr_assert_eq(slot.function, thread);
    cr_assert_eq(slot.sum, number * 7919);
    const uint64_t *octave = rf_reader_words(reader, slot.octave[number % RF_OCTAVES], RF_SUBBUCKETS);
    cr_assert_not_null(octave);
    for (unsigned i = 0; i < RF_SUBBUCKETS; i++) cr_assert_eq(octave[i], number + i);
  }
  cr_assert_geq(number, *seen, "what was there is gone");
  *seen = number;
}

static void check_facts(const struct rf_reader *reader, uint64_t seen[8]) {
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FACT], RF_TABLE_FACT);
  struct rf_fact_entry fact;
  uint64_t next[8] = {0};
  char text[256];
  while (rf_cursor_next(&cursor, &fact, sizeof fact)) {
    const char *key = rf_reader_string(reader, fact.key);
    cr_assert(key[0] == 't' && key[1] >= '0' && key[1] < '8', "half an entry: '%s'", key);
    unsigned thread = (unsigned)(key[1] - '0');
    expected_text(text, sizeof text, thread, next[thread]++);
    cr_assert_str_eq(key, text);
    cr_assert_str_eq(rf_reader_string(reader, fact.value), text);
  }
  for (int i = 0; i < 8; i++) {
    cr_assert_geq(next[i], seen[i]);
    seen[i] = next[i];
  }
}

static void check_snapshot(uint64_t facts[8], uint64_t slots[8]) {
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_THREAD], RF_TABLE_THREAD);
  struct rf_thread_entry thread;
  unsigned count = 0;
  for (; rf_cursor_next(&cursor, &thread, sizeof thread); count++)
    check_slots(reader, thread.slots, count, &slots[count]);
  cr_assert_eq(count, 8);
  check_facts(reader, facts);
  rf_reader_close(reader);
}

/* 1,000 looks at 20 writers: what is published is whole, and nothing that was seen goes away. */
Test(reader, sees_whole_entries_of_a_running_process) {
  most = 400;
  uint64_t total = 0;
  for (int round = 0; round < 20; round++) {
    uint64_t facts[8] = {0}, slots[8] = {0};
    int announced;
    pid_t child = start_writer(run_writer, &announced);
    for (int i = 0; i < 50; i++) check_snapshot(facts, slots);
    end_writer(child, announced);
    check_snapshot(facts, slots);
    total += slots[0];
    cr_expect_geq(rf_recordings_sweep(NULL), 0);
    unlink(output);
  }
  cr_expect_gt(total, 100, "the writers wrote hardly anything: nothing was tested");
}

/* ---- kill -9 ---- */

/* Announces every entry after it was published. */
static void run_counter(int announce) {
  start_recording(output);
  if (write(announce, "r", 1) != 1) _exit(8);
  char key[32];
  for (uint32_t i = 1;; i++) {
    snprintf(key, sizeof key, "%u", i);
    rf_record_fact(key, "value");
    if (write(announce, &i, sizeof i) != sizeof i) _exit(8);
    if (i % 64 == 0) rf_recording_flush(false);
  }
}

static uint32_t last_announced(int announced) {
  uint32_t number, last = 0;
  while (read(announced, &number, sizeof number) == sizeof number) last = number;
  return last;
}

static uint32_t count_facts(const char *path, uint32_t expected_state) {
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect_not(rf_reader_truncated(reader));
  cr_expect_not(rf_reader_alive(reader));
  cr_expect_eq(rf_reader_header(reader)->exit_kind, RF_EXIT_RUNNING, "nobody knows how it ended");
  cr_expect_eq(rf_reader_header(reader)->state, expected_state);
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FACT], RF_TABLE_FACT);
  struct rf_fact_entry fact;
  uint32_t count = 0;
  while (rf_cursor_next(&cursor, &fact, sizeof fact))
    cr_assert_eq((uint32_t)atoi(rf_reader_string(reader, fact.key)), ++count);
  rf_reader_close(reader);
  return count;
}

static int live_copies(pid_t pid) {
  char start[64];
  int count = 0;
  snprintf(start, sizeof start, "refunc-%u-%d-", geteuid(), pid);
  DIR *dir = opendir("/dev/shm");
  for (struct dirent *entry; dir && (entry = readdir(dir));)
    count += !strncmp(entry->d_name, start, strlen(start));
  if (dir) closedir(dir);
  return count;
}

Test(reader, a_killed_process_loses_nothing) {
  unsigned seed = 11;
  uint32_t most_announced = 0;
  for (int round = 0; round < 50; round++) {
    int announced;
    pid_t child = start_writer(run_counter, &announced);
    fcntl(announced, F_SETPIPE_SZ, 1 << 20);
    usleep((useconds_t)rand_r(&seed) % 8000);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    uint32_t last = last_announced(announced);
    close(announced);
    cr_expect_eq(live_copies(child), 1);
    uint32_t found = count_facts(output, RF_STATE_LIVE);
    cr_expect_geq(found, last);
    cr_expect_leq(found, last + 1);
    cr_expect_eq(rf_recording_complete(output), 0);
    cr_expect_eq(count_facts(output, RF_STATE_FINISHED), found);
    cr_expect_eq(live_copies(child), 0);
    cr_expect_eq(rf_recording_complete(output), 0, "a second time there is nothing to do");
    if (last > most_announced) most_announced = last;
    unlink(output);
  }
  cr_expect_gt(most_announced, 100);
}

static void run_and_end(int announce) {
  start_recording(output);
  if (write(announce, "r", 1) != 1) _exit(8);
  char key[32];
  for (uint32_t i = 1; i <= 300; i++) {
    snprintf(key, sizeof key, "%u", i);
    rf_record_fact(key, "value");
    if (i % 50 == 0) rf_recording_flush(false);
  }
  rf_recording_flush(true);
}

/* The output, the live copy and the output again: whichever is there at that moment, nothing is lost on the
 * way. */
Test(reader, an_end_in_the_middle_of_a_look_loses_nothing) {
  for (int round = 0; round < 30; round++) {
    int announced;
    uint32_t seen = 0, state;
    pid_t child = start_writer(run_and_end, &announced);
    do {
      struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
      cr_assert_not_null(reader, "%s", error);
      struct rf_cursor cursor =
          rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FACT], RF_TABLE_FACT);
      struct rf_fact_entry fact;
      uint32_t count = 0;
      while (rf_cursor_next(&cursor, &fact, sizeof fact)) count++;
      cr_assert_geq(count, seen);
      cr_assert_not(rf_reader_truncated(reader));
      seen = count;
      state = rf_reader_header(reader)->state;
      rf_reader_close(reader);
    } while (state != RF_STATE_FINISHED);
    cr_expect_eq(seen, 300);
    waitpid(child, NULL, 0);
    close(announced);
    unlink(output);
  }
}

static void run_idle(int announce) {
  start_recording(output);
  fill_sample(2, 5);
  if (write(announce, "r", 1) != 1) _exit(8);
  pause();
}

Test(reader, a_living_process_is_not_completed) {
  int announced;
  char path[256];
  pid_t child = start_writer(run_idle, &announced);
  cr_expect_eq(rf_recording_complete(output), -EBUSY);
  rf_recordings_sweep(NULL);
  cr_expect_eq(live_copies(child), 1);
  cr_expect_eq(rf_recording_of_process((uint32_t)child, NULL, path, sizeof path), 0);
  struct rf_reader *reader = rf_reader_open(path, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect(rf_reader_alive(reader));
  cr_expect_str_eq(rf_reader_header(reader)->output_path, output);
  rf_reader_close(reader);
  end_writer(child, announced);
  cr_expect_eq(rf_recording_of_process((uint32_t)child, NULL, path, sizeof path), -ENOENT);
}

Test(reader, the_sweep_completes_what_the_dead_left) {
  int announced;
  pid_t child = start_writer(run_idle, &announced);
  end_writer(child, announced);
  cr_expect_geq(rf_recordings_sweep(NULL), 1);
  cr_expect_eq(live_copies(child), 0);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  cr_expect_eq(walk_recording(reader), 2 + 2 * 5 + 5 + 5 + 1);
  rf_reader_close(reader);
  cr_expect_eq(rf_recording_note_exit(output, RF_EXIT_SIGNALED, SIGKILL), 0);
  cr_expect_eq(rf_recording_note_exit(output, RF_EXIT_EXITED, 1), -EALREADY);
  reader = rf_reader_open(output, error, sizeof error);
  cr_expect_eq(rf_reader_header(reader)->exit_kind, RF_EXIT_SIGNALED);
  cr_expect_eq(rf_reader_header(reader)->exit_code, SIGKILL);
  rf_reader_close(reader);
}

Test(reader, several_complete_at_once) {
  int announced, status;
  pid_t child = start_writer(run_idle, &announced), completers[4];
  end_writer(child, announced);
  for (int i = 0; i < 4; i++)
    if ((completers[i] = fork()) == 0) _exit(-rf_recording_complete(output));
  for (int i = 0; i < 4; i++) {
    waitpid(completers[i], &status, 0);
    cr_expect(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == ENOENT), "%d", status);
  }
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  cr_expect_eq(walk_recording(reader), 2 + 2 * 5 + 5 + 5 + 1);
  rf_reader_close(reader);
}

Test(reader, a_lost_live_copy_leaves_what_was_written_through) {
  int announced;
  char path[256];
  pid_t child = start_writer(run_idle, &announced);
  cr_assert_eq(rf_recording_of_process((uint32_t)child, NULL, path, sizeof path), 0);
  end_writer(child, announced);
  unlink(path);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect_not(rf_reader_alive(reader));
  rf_reader_close(reader);
  cr_expect_eq(rf_recording_complete(output), 0);
  reader = rf_reader_open(output, error, sizeof error);
  cr_expect_eq(rf_reader_header(reader)->state, RF_STATE_FINISHED);
  rf_reader_close(reader);
}

/* A live copy that is a link, or another file than the one named, is not followed. */
Test(reader, a_false_live_copy_is_not_believed) {
  int announced;
  char path[256], aside[300];
  pid_t child = start_writer(run_idle, &announced);
  cr_assert_eq(rf_recording_of_process((uint32_t)child, NULL, path, sizeof path), 0);
  snprintf(aside, sizeof aside, "%s-aside", path);
  cr_assert_eq(rename(path, aside), 0);
  cr_assert_eq(symlink(aside, path), 0);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  cr_assert_not_null(reader, "%s", error);
  cr_expect_eq(walk_recording(reader), 0, "only the first, empty write-through is believed");
  rf_reader_close(reader);
  unlink(path);
  unlink(aside);
  end_writer(child, announced);
}

/* ---- damage ---- */

static char *sample;
static size_t sample_size;

/* A finished recording's bytes. */
static void make_sample(void) {
  struct rf_header *header = start_recording(output);
  fill_sample(4, 30);
  header->exit_kind = RF_EXIT_EXITED;
  rf_recording_flush(true);
  struct stat found;
  int fd = open(output, O_RDONLY);
  cr_assert_eq(fstat(fd, &found), 0);
  sample_size = (size_t)found.st_size;
  sample = malloc(sample_size);
  cr_assert_eq(read(fd, sample, sample_size), (ssize_t)sample_size);
  close(fd);
}

/* Writes length bytes, opens, walks; entries found or -1 when it was refused. */
static long try_bytes(const void *bytes, size_t length, bool *truncated) {
  int fd = open(output, O_RDWR | O_TRUNC);
  cr_assert_eq(write(fd, bytes, length), (ssize_t)length);
  close(fd);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  if (!reader) {
    cr_assert_gt(strlen(error), strlen(output), "a refusal has a reason");
    return -1;
  }
  long count = (long)walk_recording(reader);
  if (truncated) *truncated = rf_reader_truncated(reader);
  rf_reader_close(reader);
  return count;
}

#define SAMPLE_ENTRIES (4 + 4 * 30 + 30 + 30 + 1)

Test(reader, a_file_cut_anywhere_gives_what_is_left) {
  make_sample();
  long last = -1, readable = 0;
  bool truncated;
  cr_assert_eq(try_bytes(sample, sample_size, &truncated), SAMPLE_ENTRIES);
  cr_assert_not(truncated);
  for (size_t length = 0; length < sample_size; length += 97) {
    long count = try_bytes(sample, length, &truncated);
    if (length < RF_HEADER_BYTES) cr_assert_eq(count, -1);
    if (count < 0) continue;
    readable++;
    cr_assert_geq(count, last, "a longer piece has less in it");
    uint64_t used = ((struct rf_header *)(void *)sample)->used_bytes;
    cr_assert_eq(truncated, length < used);
    last = count;
  }
  cr_expect_gt(readable, 100);
  cr_expect_gt(last, SAMPLE_ENTRIES / 2);
}

Test(reader, no_byte_of_the_header_is_trusted) {
  make_sample();
  for (size_t at = 0; at < RF_HEADER_BYTES; at++)
    for (unsigned flip = 1; flip < 256; flip += 254) {
      sample[at] ^= (char)flip;
      try_bytes(sample, sample_size, NULL);
      sample[at] ^= (char)flip;
    }
}

Test(reader, no_word_of_the_body_is_trusted) {
  make_sample();
  unsigned seed = 5;
  for (int i = 0; i < 5000; i++) {
    size_t words = (sample_size - RF_HEADER_BYTES) / 4;
    size_t at = RF_HEADER_BYTES + 4 * ((size_t)rand_r(&seed) % words);
    uint32_t good, bad;
    memcpy(&good, sample + at, 4);
    switch (rand_r(&seed) % 4) {
    case 0:
      bad = (uint32_t)rand_r(&seed) % (uint32_t)(sample_size + 100);
      break; /* another place in the file */
    case 1: bad = UINT32_MAX - (uint32_t)rand_r(&seed) % 64; break;
    case 2: bad = good ^ 1u << rand_r(&seed) % 32; break;
    default: bad = good + 1; break;
    }
    memcpy(sample + at, &bad, 4);
    try_bytes(sample, sample_size, NULL);
    memcpy(sample + at, &good, 4);
  }
}

Test(reader, a_chain_that_bites_its_tail_ends) {
  make_sample();
  struct rf_header *header = (void *)sample;
  struct rf_chunk *chunk = (void *)(sample + header->root[RF_TABLE_FACT]);
  chunk->next = header->root[RF_TABLE_FACT];
  bool truncated;
  long count = try_bytes(sample, sample_size, &truncated);
  cr_expect_gt(count, 0);
  cr_expect_lt(count, 100000);
  cr_expect(truncated);
}

Test(reader, fields_that_this_version_does_not_know_are_passed_over) {
  start_recording(output);
  struct {
    struct rf_fact_entry known;
    uint64_t more[3];
  } * longer;
  rf_ref *root = rf_recording_root(RF_TABLE_FACT);
  for (int i = 0; i < 10; i++) {
    longer = rf_table_append(root, RF_TABLE_FACT, sizeof *longer, 4);
    longer->known.key = rf_recording_text("key");
    longer->more[2] = UINT64_MAX;
    rf_table_publish(*root);
  }
  rf_recording_flush(true);
  struct rf_reader *reader = rf_reader_open(output, error, sizeof error);
  struct {
    struct rf_fact_entry known;
    uint64_t more[9];
  } read;
  struct rf_cursor cursor =
      rf_cursor_at(reader, rf_reader_header(reader)->root[RF_TABLE_FACT], RF_TABLE_FACT);
  int count = 0;
  for (; rf_cursor_next(&cursor, &read, sizeof read); count++) {
    cr_expect_str_eq(rf_reader_string(reader, read.known.key), "key");
    cr_expect_eq(read.more[2], UINT64_MAX);
    cr_expect_eq(read.more[3], 0, "fields that the file does not have are zero");
  }
  cr_expect_eq(count, 10);
  rf_reader_close(reader);
}

Test(reader, a_newer_format_is_refused_with_what_to_do) {
  make_sample();
  struct rf_header *header = (void *)sample;
  header->version_major = 2;
  header->version_minor = 7;
  strcpy(header->writer_version, "3.1.4");
  cr_expect_eq(try_bytes(sample, sample_size, NULL), -1);
  cr_expect(strstr(error, "recording format 2.7"), "%s", error);
  cr_expect(strstr(error, "reads 1.x"), "%s", error);
  cr_expect(strstr(error, "use refunc >= 3.1.4"), "%s", error);
  memset(header->writer_version, '\x1b', sizeof header->writer_version);
  cr_expect_eq(try_bytes(sample, sample_size, NULL), -1);
  cr_expect(strstr(error, "use a newer refunc"), "%s", error);
  cr_expect_null(strchr(error, '\x1b'));
}

Test(reader, what_is_no_recording_is_named) {
  char other[300];
  snprintf(other, sizeof other, "%s/none", folder);
  cr_expect_null(rf_reader_open(other, error, sizeof error));
  cr_expect(strstr(error, "No such file"), "%s", error);
  cr_expect_null(rf_reader_open(folder, error, sizeof error));
  cr_expect(strstr(error, "is a directory"), "%s", error);
  cr_expect_null(rf_reader_open("/dev/null", error, sizeof error));
  cr_expect(strstr(error, "not a regular file"), "%s", error);
  cr_expect_null(rf_reader_open("/bin/sh", error, sizeof error));
  cr_expect(strstr(error, "is not a recording"), "%s", error);
}
