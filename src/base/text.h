/* Foreign text (names from symbol tables, paths, configuration) made harmless for terminals and JSON. No libc
 * state: any thread, signal-safe. Cost: a few ns a byte. */
#pragma once

#include <stddef.h>

/* Length of the well-formed UTF-8 character at bytes (1 to 4), or 0 where there is none within length. */
size_t rf_text_utf8(const char *bytes, size_t length);

/* Copies text so that it is one line that moves no cursor: control characters (C0, DEL, C1) and bytes that
 * aren't UTF-8 become \n, \t, \xNN; a backslash stays. Always terminates; ends at a whole character when room
 * is short. room > 0. Returns the length written. */
size_t rf_text_visible(char *out, size_t room, const char *bytes, size_t length);

/* The same for the inside of a JSON string: quotes, backslashes and control characters escaped, what isn't
 * UTF-8 becomes U+FFFD. */
size_t rf_text_json(char *out, size_t room, const char *bytes, size_t length);
