#include "intensity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kBlock = 1 << 16;  // values of one task
constexpr int64_t kLanes = 32;       // running extremes side by side, so that the compiler may use whole registers

template <class T>
FLARE_INLINE void normalise_loop(const T* image, float* target, int64_t count, const Intensity& to) {
    for (int64_t i = 0; i < count; ++i) {
        const float value = static_cast<float>(image[i]);
        const float raised = value < to.low ? to.low : value;
        target[i] = ((raised > to.high ? to.high : raised) - to.mean) / to.divisor;
    }
}

FLARE_CLONES void normalise_block(const float* image, float* target, int64_t count, Intensity to) {
    normalise_loop(image, target, count, to);
}

FLARE_CLONES void normalise_block(const int16_t* image, float* target, int64_t count, Intensity to) {
    normalise_loop(image, target, count, to);
}

template <class T>
struct Extremes {
    T low[kLanes], high[kLanes];
    int32_t is_nan[kLanes];

    explicit Extremes(T value) {
        std::fill_n(low, kLanes, value);
        std::fill_n(high, kLanes, value);
        std::fill_n(is_nan, kLanes, value != value);
    }
};

template <class T>
FLARE_INLINE void include_loop(const T* image, int64_t groups, Extremes<T>& seen) {
    for (int64_t group = 0; group < groups; ++group) {
        for (int64_t lane = 0; lane < kLanes; ++lane) {
            const T value = image[group * kLanes + lane];
            seen.low[lane] = value < seen.low[lane] ? value : seen.low[lane];
            seen.high[lane] = value > seen.high[lane] ? value : seen.high[lane];
            seen.is_nan[lane] |= value != value;
        }
    }
}

FLARE_CLONES void include(const float* image, int64_t groups, Extremes<float>& seen) { include_loop(image, groups, seen); }

FLARE_CLONES void include(const int16_t* image, int64_t groups, Extremes<int16_t>& seen) { include_loop(image, groups, seen); }

}  // namespace

template <class T>
Range range_of(const T* image, int64_t count) {
    Extremes<T> seen(image[0]);
    include(image, count / kLanes, seen);
    T rest[kLanes];
    std::fill(std::copy(image + count / kLanes * kLanes, image + count, rest), rest + kLanes, image[0]);
    include(rest, 1, seen);
    if (std::any_of(seen.is_nan, seen.is_nan + kLanes, [](int32_t lane) { return lane != 0; })) return {NAN, NAN};
    return {static_cast<double>(*std::min_element(seen.low, seen.low + kLanes)),
            static_cast<double>(*std::max_element(seen.high, seen.high + kLanes))};
}

template <class T>
void normalise(const T* image, float* target, int64_t count, const Intensity& intensity) {
    const Team team;
    team.run((count + kBlock - 1) / kBlock, [&](int64_t block, int) {
        const int64_t start = block * kBlock;
        normalise_block(image + start, target + start, std::min(kBlock, count - start), intensity);
    });
}

template <class T>
Range value_range(const T* image, int64_t count) {
    const Team team;
    std::vector<Range> ranges((count + kBlock - 1) / kBlock);
    team.run(static_cast<int64_t>(ranges.size()), [&](int64_t block, int) {
        const int64_t start = block * kBlock;
        ranges[block] = range_of(image + start, std::min(kBlock, count - start));
    });
    Range whole = ranges[0];
    for (const Range& range : ranges) {
        if (std::isnan(range.low)) return range;
        whole = {std::min(whole.low, range.low), std::max(whole.high, range.high)};
    }
    return whole;
}

template void normalise<int16_t>(const int16_t*, float*, int64_t, const Intensity&);
template void normalise<float>(const float*, float*, int64_t, const Intensity&);
template Range range_of<float>(const float*, int64_t);
template Range value_range<int16_t>(const int16_t*, int64_t);
template Range value_range<float>(const float*, int64_t);

}  // namespace flare
