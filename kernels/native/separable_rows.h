// The loops of separable_loops.h behind one table for each width of registers, so that the processor is asked at run time.
#pragma once

#include "separable.h"

namespace flare {

constexpr float kSlope = 0.01f;  // of nnU-Net's leaky ReLU
constexpr int64_t kSpare = 8;    // voxels behind a row that may be read, and whose results are thrown away

struct RowLoops {
    void (*activate)(const FeatureMap&, const float* row, int64_t voxels, float* to, int64_t pitch);
    void (*upsample_row)(const Upsampling&, const float* kernel, const float* below, int64_t voxels, int64_t in, float* to, int64_t pitch);
    void (*depthwise)(const float* const* rows, const float* kernel, int64_t channels, int64_t stride, int64_t voxels, float* to);
    void (*pointwise)(const float* voxels, int64_t in, const float* kernel, int64_t out, int64_t count, float* to, float* sums);
    void (*logits_row)(const float* voxels, int64_t in, const float* kernel, const float* bias, int64_t logits, int64_t count, float* to,
                       int64_t plane);
};

const RowLoops* loops_of_512_bits();
const RowLoops* loops_of_256_bits();

}  // namespace flare
