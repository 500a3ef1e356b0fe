// The cubic prefilter is the recursive one of M. Unser et al., "B-spline signal processing: part II", IEEE Transactions on
// Signal Processing 41(2), 1993, with its boundary values in closed form for a signal that its edge samples extend for ever:
// a constant s has coefficients s, and what differs from that decays by the pole a sample.

#include "spline.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "simd.h"

namespace flare {

namespace {

const double kPole = std::sqrt(3.0) - 2.0;
const float kPoleF = static_cast<float>(kPole);
constexpr float kGain = 6.0f;

// Samples at lines[0] .. lines[(count - 1) * kLanes] -> coefficients, kEdge more at either end.
FLARE_CLONES void filter(float* lines, int64_t count) {
    const float z = kPoleF;
    const float steady = static_cast<float>(kGain / (1 - kPole));  // causal response to a constant 1
    const float settle = static_cast<float>(-kPole / (1 - kPole * kPole));
    float first[kLanes], last[kLanes], state[kLanes];
    for (int64_t i = 0; i < kLanes; ++i) first[i] = lines[i];
    for (int64_t i = 0; i < kLanes; ++i) last[i] = lines[(count - 1) * kLanes + i];
    for (int64_t i = 0; i < kLanes; ++i) state[i] = first[i] * steady;
    for (int64_t k = 0; k < count; ++k) {
        float* line = lines + k * kLanes;
        for (int64_t i = 0; i < kLanes; ++i) line[i] = state[i] = kGain * line[i] + z * state[i];
    }
    // After the end the causal response decays to last * steady, so the anticausal one is a geometric sum of both.
    for (int64_t i = 0; i < kLanes; ++i) state[i] = last[i] + settle * (state[i] - last[i] * steady);
    for (int64_t i = 0; i < kLanes; ++i) lines[(count - 1) * kLanes + i] = state[i];
    for (int64_t k = count - 2; k >= 0; --k) {
        float* line = lines + k * kLanes;
        for (int64_t i = 0; i < kLanes; ++i) line[i] = state[i] = z * (state[i] - line[i]);
    }
    for (int64_t i = 0; i < kLanes; ++i) {
        float low = lines[i] - first[i], high = lines[(count - 1) * kLanes + i] - last[i];
        for (int64_t k = 1; k <= kEdge; ++k) {
            lines[i - k * kLanes] = first[i] + (low *= z);
            lines[i + (count - 1 + k) * kLanes] = last[i] + (high *= z);
        }
    }
}

template <int kTaps>
FLARE_INLINE void combine_loop(const float* lines, const float* weights, float* made) {
    for (int64_t i = 0; i < kLanes; ++i) {
        float sum = weights[0] * lines[i];
        for (int tap = 1; tap < kTaps; ++tap) sum += weights[tap] * lines[tap * kLanes + i];
        made[i] = sum;
    }
}

FLARE_CLONES void combine_four(const float* lines, const int64_t* first, const float* weights, int64_t targets, float* made) {
    for (int64_t t = 0; t < targets; ++t) combine_loop<4>(lines + first[t] * kLanes, weights + 4 * t, made + t * kLanes);
}

FLARE_CLONES void combine_two(const float* lines, const int64_t* first, const float* weights, int64_t targets, float* made) {
    for (int64_t t = 0; t < targets; ++t) combine_loop<2>(lines + first[t] * kLanes, weights + 2 * t, made + t * kLanes);
}

// Value of the centred B-spline of order 1 or 3 at a distance in samples.
double spline_weight(double distance, int order) {
    const double t = std::fabs(distance);
    if (order == 1) return std::max(1 - t, 0.0);
    return t < 1 ? (4 - 6 * t * t + 3 * t * t * t) / 6 : std::pow(std::max(2 - t, 0.0), 3) / 6;
}

}  // namespace

Axis::Axis(int spline_order, const double* coordinates, int64_t targets, int64_t samples)
    : order(spline_order), source(samples) {
    if (order != 0 && order != 1 && order != 3) {
        throw std::invalid_argument("order: got " + std::to_string(order) + ", expected 0, 1 or 3");
    }
    for (int64_t t = 0; t < targets; ++t) {
        const double at = coordinates[t];
        if (!(at >= -1 && at <= static_cast<double>(source))) {
            throw std::invalid_argument("span: got a coordinate outside of the samples handed in");
        }
        if (order == 0) {
            first.push_back(std::clamp(static_cast<int64_t>(std::floor(at + 0.5)), int64_t{0}, source - 1));
            weights.push_back(1);
            continue;
        }
        const int64_t lowest = std::min(static_cast<int64_t>(std::floor(at)), source - 1) - (order == 3 ? 1 : 0);
        first.push_back(lowest);
        for (int tap = 0; tap <= order; ++tap) {
            weights.push_back(static_cast<float>(spline_weight(at - static_cast<double>(lowest + tap), order)));
        }
    }
}

bool Axis::copies() const {
    if (order != 0) return false;
    for (int64_t t = 1; t < targets(); ++t) {
        if (first[t] != first[t - 1] + 1) return false;
    }
    return true;
}

void prepare(int order, int64_t source, float* lanes) {
    float* lines = lanes + kEdge * kLanes;
    if (order == 3) return filter(lines, source);
    for (int64_t k = 1; k <= kEdge; ++k) {
        std::copy_n(lines, kLanes, lines - k * kLanes);
        std::copy_n(lines + (source - 1) * kLanes, kLanes, lines + (source - 1 + k) * kLanes);
    }
}

void evaluate(const Axis& axis, int64_t start, int64_t stop, int64_t origin, const float* lanes, float* made) {
    const float* lines = lanes + (kEdge - origin) * kLanes;
    const float* weights = axis.weights.data() + start * (axis.order + 1);
    const int64_t* first = axis.first.data() + start;
    if (axis.order == 3) return combine_four(lines, first, weights, stop - start, made);
    if (axis.order == 1) return combine_two(lines, first, weights, stop - start, made);
    for (int64_t t = 0; t < stop - start; ++t) std::copy_n(lines + first[t] * kLanes, kLanes, made + t * kLanes);
}

}  // namespace flare
