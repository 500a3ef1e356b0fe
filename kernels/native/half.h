// IEEE 754 half precision <-> float, a row at a time: F16C where the processor has it, integer arithmetic elsewhere.
// Both round to nearest even, keep subnormals and infinities, and turn signalling NaNs into quiet ones.
#pragma once

#include <cstdint>

namespace flare {

using Half = uint16_t;  // the bits of an IEEE 754 binary16

void widen(const Half* source, float* target, int64_t count);
void narrow(const float* source, Half* target, int64_t count);

// The paths for processors without F16C, reachable everywhere so that they can be tested.
void widen_portable(const Half* source, float* target, int64_t count);
void narrow_portable(const float* source, Half* target, int64_t count);

}  // namespace flare
