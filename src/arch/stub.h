/* Decoding instructions and building stubs, on whatever machine this is. */
#pragma once

#if defined(__x86_64__)
#include "arch/x86_64/branch_scan.h"
#include "arch/x86_64/decode.h"
#include "arch/x86_64/label_scan.h"
#include "arch/x86_64/stub.h"
#endif
