/* See load.h. */
#include "report/load.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "recording/reader.h"

#define JSON_BYTES_MAX ((size_t)1 << 30)

static void keep_reader(struct rf_recordings *recordings, struct rf_reader *reader) {
  struct rf_reader **larger = realloc(recordings->reader, (recordings->count + 1) * sizeof *larger);
  if (!larger) {
    fputs("refunc: out of memory\n", stderr);
    exit(125);
  }
  recordings->reader = larger;
  recordings->reader[recordings->count++] = reader;
  recordings->truncated += rf_reader_truncated(reader);
}

static bool add_file(struct rf_recordings *recordings, const char *path, char *error, size_t error_bytes) {
  struct rf_reader *reader = rf_reader_open(path, error, error_bytes);
  if (!reader) return false;
  /* A dead process's live copy becomes the final file; what was read already holds for this report either
   * way. */
  if (rf_reader_header(reader)->state != RF_STATE_FINISHED && !rf_reader_alive(reader))
    rf_recording_complete(path);
  keep_reader(recordings, reader);
  return true;
}

static int is_recording(const struct dirent *entry) {
  size_t length = strlen(entry->d_name);
  return length > 4 && strcmp(entry->d_name + length - 4, ".rfn") == 0;
}

static bool add_folder(struct rf_recordings *recordings, const char *path, char *error, size_t error_bytes) {
  struct dirent **names = NULL;
  int count = scandir(path, &names, is_recording, alphasort);
  size_t before = recordings->count;
  for (int i = 0; i < count; i++) {
    char file[4096];
    snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
    if (!add_file(recordings, file, recordings->note, sizeof recordings->note)) recordings->unreadable++;
    free(names[i]);
  }
  free(names);
  if (count < 0)
    snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
  else if (count == 0)
    snprintf(error, error_bytes, "%s: no recording (*.rfn) in this folder", path);
  else if (recordings->count == before)
    snprintf(error, error_bytes, "%s", recordings->note);
  return recordings->count > before;
}

bool rf_recordings_add(struct rf_recordings *recordings, const char *path, char *error, size_t error_bytes) {
  struct stat status;
  if (stat(path, &status) < 0) {
    snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
    return false;
  }
  return S_ISDIR(status.st_mode) ? add_folder(recordings, path, error, error_bytes)
                                 : add_file(recordings, path, error, error_bytes);
}

void rf_recordings_close(struct rf_recordings *recordings) {
  for (size_t i = 0; i < recordings->count; i++) rf_reader_close(recordings->reader[i]);
  free(recordings->reader);
  *recordings = (struct rf_recordings){0};
}

/* --- one run --- */

static char *read_whole(const char *path, size_t *length, char *error, size_t error_bytes) {
  struct stat status;
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  char *bytes = NULL;
  *length = 0;
  if (fd < 0 || fstat(fd, &status) < 0)
    snprintf(error, error_bytes, "%s: %s", path, strerror(errno));
  else if (!S_ISREG(status.st_mode) || (size_t)status.st_size > JSON_BYTES_MAX)
    snprintf(error, error_bytes, "%s: not a regular file of at most 1 GiB", path);
  else if ((bytes = malloc((size_t)status.st_size + 1)))
    for (ssize_t n; *length < (size_t)status.st_size &&
                    (n = read(fd, bytes + *length, (size_t)status.st_size - *length)) > 0;)
      *length += (size_t)n;
  if (fd >= 0) close(fd);
  return bytes;
}

/* JSON begins with a brace; a recording never does. */
static bool looks_like_json(const char *path) {
  char first[64] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  ssize_t n = read(fd, first, sizeof first - 1);
  close(fd);
  if (n <= 0) return false;
  return first[strspn(first, " \t\r\n")] == '{';
}

static struct rf_report *load_json_file(const char *path, char *error, size_t error_bytes) {
  size_t length;
  char *bytes = read_whole(path, &length, error, error_bytes);
  if (!bytes) return NULL;
  struct rf_report *report = rf_json_load(bytes, length, path, error, error_bytes);
  free(bytes);
  return report;
}

char *rf_json_file_text(const char *path, size_t *length) {
  char error[1024];
  char *text = looks_like_json(path) ? read_whole(path, length, error, sizeof error) : NULL;
  if (text) text[*length] = 0;
  return text;
}

struct rf_report *rf_load_run(const char *path, char *error, size_t error_bytes) {
  struct rf_recordings recordings = {0};
  if (looks_like_json(path)) return load_json_file(path, error, error_bytes);
  if (!rf_recordings_add(&recordings, path, error, error_bytes)) {
    rf_recordings_close(&recordings);
    return NULL;
  }
  struct rf_report *report = rf_report_build(recordings.reader, recordings.count);
  rf_recordings_close(&recordings);
  return report;
}
