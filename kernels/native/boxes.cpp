#include "boxes.h"

#include <type_traits>
#include <vector>

#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

// An integer as wide as the voxels, so that masks and voxels fill the same lanes.
template <class T>
using Mask = std::conditional_t<sizeof(T) == 2, int16_t, int32_t>;

// Marks the columns of a row whose voxel is not 0, and says whether there is one.
template <class T>
FLARE_INLINE bool mark_loop(const T* row, Mask<T>* columns, int64_t count) {
    Mask<T> any = 0;
    for (int64_t x = 0; x < count; ++x) {
        const Mask<T> hit = row[x] != T{0};
        columns[x] |= hit;
        any |= hit;
    }
    return any != 0;
}

FLARE_CLONES bool mark(const float* row, int32_t* columns, int64_t count) { return mark_loop(row, columns, count); }

FLARE_CLONES bool mark(const int16_t* row, int16_t* columns, int64_t count) { return mark_loop(row, columns, count); }

}  // namespace

template <class T>
Box box_nonzero(const T* image, const Shape& shape) {
    const Team team;
    std::vector<Box> boxes(team.size());
    PerThread<Mask<T>> columns(team, shape.columns);
    team.run(shape.planes, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < shape.rows; ++y) {
            const T* row = image + (z * shape.rows + y) * shape.columns;
            if (!mark(row, columns[thread], shape.columns)) continue;
            boxes[thread].include(0, z, z + 1);
            boxes[thread].include(1, y, y + 1);
        }
    });
    Box whole;
    for (int thread = 0; thread < team.size(); ++thread) {
        whole.include(boxes[thread]);
        for (int64_t x = 0; x < shape.columns; ++x) {
            if (columns[thread][x]) whole.include(2, x, x + 1);
        }
    }
    return whole;
}

template Box box_nonzero<int16_t>(const int16_t*, const Shape&);
template Box box_nonzero<float>(const float*, const Shape&);

}  // namespace flare
