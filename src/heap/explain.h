/* What the process's memory consists of, told to the recording once, at the end. */
#pragma once

#include <stdint.h>

/*
 * heap.rss.*: resident bytes of live blocks, of the allocator's arenas beyond those (slack), of thread
 * stacks, files, Refunc, and the rest. Live blocks are taken for resident; blocks with mappings of their own
 * can't be told from the app's mappings, so slack is that of the arenas. live_bytes: of the heap. Not
 * signal-safe. Cost: that of /proc/self/smaps.
 */
void rf_heap_explain(int64_t live_bytes);
