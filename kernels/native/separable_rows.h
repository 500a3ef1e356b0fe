// The loops of separable_loops.h behind one table for each width of registers, so that the processor is asked at run time.
#pragma once

#include "separable.h"

namespace flare {

constexpr float kSlope = 0.01f;  // of nnU-Net's leaky ReLU
constexpr int64_t kSpare = 8;    // voxels behind a row that may be read, and whose results are thrown away

template <class T>
struct RowLoops {
    // Activates a row of a map; voxels are `pitch` values apart in the result.
    void (*activate)(const FeatureMap&, const void* row, int64_t voxels, T* to, int64_t pitch);
    // Activates a row into `below` and upsamples it; `kernel` is that of the row's place in the stride.
    void (*upsample_row)(const BlockSource<T>&, const void* row, const T* kernel, T* below, T* to, int64_t pitch);
    void (*depthwise)(const T* const* rows, const T* kernel, int64_t channels, int64_t stride, int64_t voxels, T* to);
    void (*pointwise)(const T* voxels, int64_t in, const T* kernel, int64_t out, int64_t count, T* to, float* sums);
    // Activates a row into `scratch`; each logit of it goes to a plane of its own.
    void (*logits_row)(const FeatureMap&, const void* row, const T* kernel, const float* bias, int64_t logits, T* scratch, float* to);
};

const RowLoops<float>* loops_of_512_bits();
const RowLoops<float>* loops_of_256_bits();
const RowLoops<Bf16>* loops_of_bf16();  // in registers of 512 bits

}  // namespace flare
