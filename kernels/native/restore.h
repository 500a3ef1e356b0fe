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

struct Restore {
    RingView ring;
    Taps z, y, x;
    Choice choice;
    const uint8_t* values;  // label of each channel
    uint8_t* labels;        // (z.count, y.count, x.count)
};

void restore(const Restore& job);

}  // namespace flare
