// Splines of order 0, 1 and 3 along one axis, a bundle of kLanes lines side by side.
#pragma once

#include <cstdint>
#include <vector>

namespace flare {

constexpr int64_t kLanes = 32;  // lines that are resampled together: lanes[sample * kLanes + line]
constexpr int64_t kEdge = 2;    // samples that a cubic needs beyond either end of a line

// How each target sample is made: order + 1 weights on consecutive samples from first[target].
struct Axis {
    int order;
    int64_t source;              // samples of the line handed in
    std::vector<int64_t> first;  // may be down to -kEdge and end at source + kEdge
    std::vector<float> weights;  // (targets, order + 1)

    // Coordinates are in source samples, within half a sample of the line.
    Axis(int spline_order, const double* coordinates, int64_t targets, int64_t samples);

    int64_t targets() const { return static_cast<int64_t>(first.size()); }

    // Whether targets are consecutive source samples, taken as they are.
    bool copies() const;
};

// Turns samples at lanes[kEdge * kLanes] and on into spline coefficients, and extends them by kEdge beyond either end, as
// if the line's first and last samples went on for ever. `lanes` holds source + 2 * kEdge samples.
void prepare(int order, int64_t source, float* lanes);

// made[target * kLanes + line] for targets [start, stop) from prepared lanes, of which the first is source sample `origin`.
void evaluate(const Axis& axis, int64_t start, int64_t stop, int64_t origin, const float* lanes, float* made);

}  // namespace flare
