// Separable spline resampling of a volume: see contract.Kernels.resample_spline.
#pragma once

#include "spline.h"

namespace flare {

struct Resample {
    const float* image;  // (z.source, y.source, x.source)
    Axis z, y, x;
    float lowest, highest;  // what the result is clamped to
    bool by_slice;          // clamp each slice to its own source slice's range instead; only where z.order is 0
    float* target;          // (z.targets(), y.targets(), x.targets())
};

void resample(const Resample& job);

}  // namespace flare
