/* What the process's memory consists of, told to the recording once, at the end. */
#pragma once

#include <stdint.h>

/*
 * heap.rss.*: resident bytes of live blocks, of the allocator's arenas beyond those (slack), of thread
 * stacks, files, Refunc, and the rest; heap.allocator.*: what the allocator itself says (figures.h). Live
 * blocks are taken for resident. Blocks with mappings of their own look like the app's mappings: how many
 * bytes they are, glibc knows, and slack is what the arenas hold beyond the other ones. live_bytes: of the
 * heap. Not signal-safe. Cost: that of /proc/self/smaps and of a fork.
 */
void rf_heap_explain(int64_t live_bytes);
