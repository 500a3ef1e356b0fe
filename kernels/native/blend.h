// The ring buffer of blended logits: see contract.Kernels.blend, finish, average and clear.
#pragma once

#include <cstdint>
#include <vector>

#include "half.h"

namespace flare {

// A float16 (channels, planes, rows, columns) ring that holds plane z of the network grid at z % planes.
template <class T>
struct RingOf {
    T* data;
    int64_t channels, planes, rows, columns;

    int64_t plane_size() const { return rows * columns; }
    T* plane(int64_t channel, int64_t z) const { return data + (channel * planes + z % planes) * plane_size(); }
};

using Ring = RingOf<Half>;
using RingView = RingOf<const Half>;

struct Tile {
    const float* logits;   // (channels of the ring, planes, rows, columns)
    const Half* gaussian;  // (planes, rows, columns)
    int64_t planes, rows, columns;
    int64_t z, y, x;  // corner in the network grid
};

void blend(const Ring& ring, const Ring& weights, const Tile& tile);
void finish(const Ring& ring, const Ring& weights, int64_t start, int64_t stop);
void average(const std::vector<Ring>& rings, int64_t start, int64_t stop);
void clear(const Ring& ring, int64_t start, int64_t stop);

}  // namespace flare
