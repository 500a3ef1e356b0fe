// Rows of IEEE 754 half precision: F16C where the processor has it, integer arithmetic elsewhere. Both round to nearest
// even, keep subnormals and infinities, and turn signalling NaNs into quiet ones.
#pragma once

#include <cstdint>

namespace flare {

using Half = uint16_t;  // the bits of an IEEE 754 binary16

void widen(const Half* source, float* target, int64_t count);
void narrow(const float* source, Half* target, int64_t count);

// values = float of half of values.
void round_to_half(float* values, int64_t count);

// Four rows of halves, (lower and upper plane) x (lower and upper row), and where between them a row is wanted.
struct RowsBetween {
    const Half* lower_lower;  // plane, row
    const Half* upper_lower;
    const Half* lower_upper;
    const Half* upper_upper;
    float plane_weight, row_weight;
};

// target[start..stop) = the rows interpolated between planes, then between rows, in float32.
void interpolate_rows(const RowsBetween& rows, int64_t start, int64_t stop, float* target);

// The paths for processors without F16C, reachable everywhere so that they can be tested.
void widen_portable(const Half* source, float* target, int64_t count);
void narrow_portable(const float* source, Half* target, int64_t count);
void interpolate_rows_portable(const RowsBetween& rows, int64_t start, int64_t stop, float* target);

}  // namespace flare
