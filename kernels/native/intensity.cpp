#include "intensity.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kBlock = 1 << 16;  // values of one task

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
FLARE_INLINE Range range_loop(const T* image, int64_t count) {
    T low = image[0], high = image[0];
    int is_nan = 0;
#pragma omp simd reduction(min : low) reduction(max : high) reduction(| : is_nan)
    for (int64_t i = 0; i < count; ++i) {
        low = image[i] < low ? image[i] : low;
        high = image[i] > high ? image[i] : high;
        is_nan |= image[i] != image[i];
    }
    if (is_nan) return {NAN, NAN};
    return {static_cast<double>(low), static_cast<double>(high)};
}

constexpr int kLanes = 8;  // sums kept side by side, so that vector registers of any width add in the same order

template <class T>
FLARE_INLINE Moments moments_loop(const T* image, int64_t count) {
    double sum[kLanes] = {}, squares[kLanes] = {};
    for (int64_t i = 0; i + kLanes <= count; i += kLanes) {
        for (int lane = 0; lane < kLanes; ++lane) {
            const double value = image[i + lane];
            sum[lane] += value;
            squares[lane] += value * value;
        }
    }
    Moments total{};
    for (int lane = 0; lane < kLanes; ++lane) total = {total.sum + sum[lane], total.squares + squares[lane]};
    for (int64_t i = count - count % kLanes; i < count; ++i) {
        const double value = image[i];
        total = {total.sum + value, total.squares + value * value};
    }
    return total;
}

FLARE_CLONES Moments moments_block(const float* image, int64_t count) { return moments_loop(image, count); }

FLARE_CLONES Moments moments_block(const int16_t* image, int64_t count) { return moments_loop(image, count); }

FLARE_CLONES Range range_loop_of(const float* image, int64_t count) { return range_loop(image, count); }

FLARE_CLONES Range range_loop_of(const int16_t* image, int64_t count) { return range_loop(image, count); }

}  // namespace

template <class T>
Range range_of(const T* image, int64_t count) {
    return range_loop_of(image, count);
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
void normalise_line(const T* first, int64_t stride, float* target, int64_t count, const Intensity& intensity) {
    if (stride == 1) return normalise_block(first, target, count, intensity);
    if (stride == -1) {
        normalise_block(first - (count - 1), target, count, intensity);
        return std::reverse(target, target + count);
    }
    for (int64_t i = 0; i < count; ++i) target[i] = static_cast<float>(first[i * stride]);
    normalise_block(target, target, count, intensity);
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

template <class T>
Moments moments(const T* image, int64_t count) {
    const Team team;
    std::vector<Moments> parts((count + kBlock - 1) / kBlock);
    team.run(static_cast<int64_t>(parts.size()), [&](int64_t block, int) {
        const int64_t start = block * kBlock;
        parts[block] = moments_block(image + start, std::min(kBlock, count - start));
    });
    Moments total{};
    for (const Moments& part : parts) total = {total.sum + part.sum, total.squares + part.squares};
    return total;
}

template void normalise<int16_t>(const int16_t*, float*, int64_t, const Intensity&);
template void normalise<float>(const float*, float*, int64_t, const Intensity&);
template void normalise_line<int16_t>(const int16_t*, int64_t, float*, int64_t, const Intensity&);
template void normalise_line<float>(const float*, int64_t, float*, int64_t, const Intensity&);
template Range range_of<float>(const float*, int64_t);
template Range value_range<int16_t>(const int16_t*, int64_t);
template Range value_range<float>(const float*, int64_t);
template Moments moments<int16_t>(const int16_t*, int64_t);
template Moments moments<float>(const float*, int64_t);

}  // namespace flare
