// Separable spline resampling of a volume: see contract.Kernels.resample_spline and resample_scan.
#pragma once

#include <variant>

#include "intensity.h"
#include "spline.h"

namespace flare {

// Voxels as they lie in a scan, `strides` apart along z, y and x (in voxels, maybe negative), and how they are normalised.
template <class T>
struct ScanVoxels {
    const T* first;
    int64_t strides[3];
    Intensity to;
};

// Samples (z.source, y.source, x.source): dense ones, or those of a scan, normalised line by line as they are read.
using Samples = std::variant<const float*, ScanVoxels<int16_t>, ScanVoxels<float>>;

struct Resample {
    Samples image;
    Axis z, y, x;
    float lowest, highest;  // what the result is clamped to
    bool by_slice;          // clamp each slice to its own source slice's range instead; only where z.order is 0
    float* target;          // (z.targets(), y.targets(), x.targets())
};

void resample(const Resample& job);

}  // namespace flare
