/*
 * Messages to the user: one line each on stderr, "refunc: ..." (or JSON, by refunc.log_format). In the
 * library they go to a close-on-exec duplicate of stderr taken at start, by raw writes, never through stdio,
 * and only while the descriptor still is the file that it was. No message ends or stops the app: the SIGPIPE
 * of a pipe that nobody reads is swallowed, and a reader that doesn't read is waited for a moment only.
 */
#pragma once

enum rf_log_level { RF_LOG_ERROR, RF_LOG_WARN, RF_LOG_INFO, RF_LOG_DEBUG };

/* fd: where lines go (the tool: 2; -1: nowhere). level: the highest that is printed. json: one JSON object a
 * line. Before it is called: stderr, warnings, text. Not while other threads log. */
void rf_log_setup(int fd, enum rf_log_level level, int json);

/* Say something; errno is kept, control characters are escaped, at most about 1.5 KB of text. Any thread but
 * one without TLS of its own (the sampler's); not in signal handlers (vsnprintf). Cost: some 10 us. */
void rf_log(enum rf_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The same message (by format's address) is said once only. */
void rf_log_once(enum rf_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A fresh set of what was said once, after a fork. */
void rf_log_forget(void);

/* A message as it is, formatted by the caller: no libc state, no TLS, raw system calls only. Any thread,
 * signal-safe. */
void rf_log_plain(enum rf_log_level level, const char *message);

/* A result that the app asked to have printed, whatever the level: text as a line, or with refunc.log_format
 * json an object whose member "result" is fields, a JSON value. As rf_log_plain. */
void rf_log_result(const char *text, const char *fields);

/* Where messages go now, or -1: also when the descriptor no longer is what it was. */
int rf_log_fd(void);

/* Writes bytes to the log's descriptor as they are, each line prefixed with "refunc: " unless it is a
 * terminal; gives up when the descriptor no longer is what it was, or after deadline_ms. As rf_log_plain: no
 * libc state, no TLS. */
void rf_log_block(const char *bytes, unsigned long length, int deadline_ms);
