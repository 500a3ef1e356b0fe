// Where voxels lie: see contract.Kernels.box_nonzero and bounds. T is int16_t or float.
#pragma once

#include <cstdint>
#include <vector>

namespace flare {

struct Shape {
    int64_t planes, rows, columns;

    int64_t size() const { return planes * rows * columns; }
};

// A half-open box that grows with the voxels put into it; in (z, y, x) order.
struct Box {
    int64_t start[3] = {INT64_MAX, INT64_MAX, INT64_MAX};
    int64_t stop[3] = {0, 0, 0};

    bool empty() const { return stop[0] == 0; }

    void include(int axis, int64_t first, int64_t end) {
        start[axis] = first < start[axis] ? first : start[axis];
        stop[axis] = end > stop[axis] ? end : stop[axis];
    }

    void include(const Box& other) {
        for (int axis = 0; axis < 3; ++axis) include(axis, other.start[axis], other.stop[axis]);
    }
};

template <class T>
Box box_nonzero(const T* image, const Shape& shape);

struct LabelBounds {
    Box box;
    int64_t voxels = 0;
};

// Fills the table, one entry for each value of Label, which is uint8_t or uint16_t.
template <class Label>
void bounds(const Label* labels, const Shape& shape, LabelBounds* table);

// One entry for each piece 1..n, that of 0 empty. Serial: of noise there are too many pieces for a table in each thread.
std::vector<LabelBounds> piece_bounds(const uint32_t* pieces, const Shape& shape);

}  // namespace flare
