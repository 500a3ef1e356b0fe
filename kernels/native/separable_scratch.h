// Scratch and sums of the blocks in separable.h, whatever their maps are stored in.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "threads.h"

namespace flare {

// Scratch of each thread, zeros at first, that begins where a line of the cache does: vectors of 64 bytes that cross two take
// twice as long.
template <class T>
class Scratch {
 public:
    Scratch(const Team& team, int64_t values) : buffers_(team, values + kLine / sizeof(T)) {}
    T* operator[](int thread) {
        const uintptr_t at = reinterpret_cast<uintptr_t>(buffers_[thread]);
        return reinterpret_cast<T*>((at + kLine - 1) / kLine * kLine);
    }

 private:
    static constexpr uintptr_t kLine = 64;
    PerThread<T> buffers_;
};

// Sums and sums of squares (2, out) of parts of `voxels(part)` values, each told as its first value and sums of the differences
// from it and of their squares (parts, 3, out). In the order of the parts, so that they do not hang on the threads.
template <class Voxels>
void add_up(const std::vector<float>& parts, int64_t out, const Voxels& voxels, double* sums) {
    std::fill(sums, sums + 2 * out, 0.0);
    for (size_t part = 0; part * 3 * out < parts.size(); ++part) {
        const float *first = parts.data() + part * 3 * out, *sum = first + out, *squares = sum + out;
        const int64_t count = voxels(part);
        for (int64_t c = 0; c < out; ++c) {
            const double start = first[c];
            sums[c] += count * start + sum[c];
            sums[out + c] += (count * start + 2.0 * sum[c]) * start + squares[c];
        }
    }
}

}  // namespace flare
