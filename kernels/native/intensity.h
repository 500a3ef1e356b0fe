// Voxel values as a whole: see contract.Kernels.normalise, value_range and moments. T is int16_t or float.
#pragma once

#include <cstdint>

namespace flare {

struct Intensity {
    float low, high, mean, divisor;
};

struct Range {
    double low, high;
};

template <class T>
void normalise(const T* image, float* target, int64_t count, const Intensity& intensity);

// The same of a line whose voxels lie `stride` apart, in the calling thread alone.
template <class T>
void normalise_line(const T* first, int64_t stride, float* target, int64_t count, const Intensity& intensity);

// As value_range, in the calling thread alone.
template <class T>
Range range_of(const T* image, int64_t count);

// Smallest and largest of count > 0 values; NaN, both, where one of them is NaN.
template <class T>
Range value_range(const T* image, int64_t count);

struct Moments {
    double sum, squares;
};

// Sum of count values and of their squares; the order of the additions depends on count alone.
template <class T>
Moments moments(const T* image, int64_t count);

}  // namespace flare
