/* What the recording says of the machine and of options; see facts.c. */
#pragma once

/* "" where it says nothing. Any thread. Cost: about 1 us. */
const char *rf_api_option(const char *key);
