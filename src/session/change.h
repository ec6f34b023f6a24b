/* Changing what is traced while the process runs, on behalf of the tool (base/change.h). */
#pragma once

/* Tells the recording where the tool finds what it needs; again in a forked child. */
void rf_change_offer(void);
