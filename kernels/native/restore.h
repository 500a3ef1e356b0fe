// Logits of the network grid -> labels of the source grid: see contract.Kernels.restore_argmax and restore_regions.
#pragma once

#include <cstdint>

#include "blend.h"

namespace flare {

// Linear taps along one axis: (1 - weight) * source[lower] + weight * source[upper].
struct Taps {
    const int32_t* lower;
    const int32_t* upper;
    const float* weight;
    int64_t count;
};

// How a voxel's interpolated logits choose a channel: argmax, or the last one above 0 (none: label 0).
enum class Choice { kFirstLargest, kLastPositive };

// Label is uint8_t or uint16_t.
template <class Label>
struct Restore {
    RingView ring;
    Taps z, y, x;
    Choice choice;
    bool in_half;         // interpolated logits are rounded to half precision
    const Label* values;  // label of each channel
    Label* labels;        // (z.count, y.count, x.count)
};

template <class Label>
void restore(const Restore<Label>& job);

}  // namespace flare
