#include "boxes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <type_traits>
#include <vector>

#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

// An integer as wide as the voxels, so that masks and voxels fill the same lanes.
template <class T>
using Mask = std::conditional_t<sizeof(T) == 2, int16_t, int32_t>;

struct AtLeast {
    template <class T>
    static bool holds(T value, T limit) { return value >= limit; }
};

struct Differs {
    template <class T>
    static bool holds(T value, T limit) { return value != limit; }
};

// Marks the columns of a row whose voxel meets the test, and says whether there is one.
template <class Test, class T>
FLARE_INLINE bool mark_loop(const T* row, T limit, Mask<T>* columns, int64_t count) {
    Mask<T> any = 0;
    for (int64_t x = 0; x < count; ++x) {
        const Mask<T> hit = Test::holds(row[x], limit);
        columns[x] |= hit;
        any |= hit;
    }
    return any != 0;
}

FLARE_CLONES bool mark(AtLeast, const float* row, float limit, int32_t* columns, int64_t count) {
    return mark_loop<AtLeast>(row, limit, columns, count);
}

FLARE_CLONES bool mark(AtLeast, const int16_t* row, int16_t limit, int16_t* columns, int64_t count) {
    return mark_loop<AtLeast>(row, limit, columns, count);
}

FLARE_CLONES bool mark(Differs, const float* row, float limit, int32_t* columns, int64_t count) {
    return mark_loop<Differs>(row, limit, columns, count);
}

FLARE_CLONES bool mark(Differs, const int16_t* row, int16_t limit, int16_t* columns, int64_t count) {
    return mark_loop<Differs>(row, limit, columns, count);
}

template <class Test, class T>
Box find_box(const T* image, const Shape& shape, Test test, T limit) {
    const Team team;
    std::vector<Box> boxes(team.size());
    PerThread<Mask<T>> columns(team, shape.columns);
    team.run(shape.planes, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < shape.rows; ++y) {
            const T* row = image + (z * shape.rows + y) * shape.columns;
            if (!mark(test, row, limit, columns[thread], shape.columns)) continue;
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

}  // namespace

template <class T>
Box box_above(const T* image, const Shape& shape, double threshold) {
    if constexpr (std::is_integral_v<T>) {
        constexpr double lowest = std::numeric_limits<T>::lowest(), highest = std::numeric_limits<T>::max();
        const double limit = std::max(std::floor(threshold) + 1, lowest);
        return limit <= highest ? find_box(image, shape, AtLeast(), static_cast<T>(limit)) : Box();
    } else {
        constexpr T infinity = std::numeric_limits<T>::infinity();
        const T limit = static_cast<T>(threshold);
        return limit < infinity ? find_box(image, shape, AtLeast(), std::nextafter(limit, infinity)) : Box();
    }
}

template <class T>
Box box_nonzero(const T* image, const Shape& shape) {
    return find_box(image, shape, Differs(), T{0});
}

template Box box_above<int16_t>(const int16_t*, const Shape&, double);
template Box box_above<float>(const float*, const Shape&, double);
template Box box_nonzero<int16_t>(const int16_t*, const Shape&);
template Box box_nonzero<float>(const float*, const Shape&);

}  // namespace flare
