// Resampling of one (y, x) plane by two Axis passes.
#pragma once

#include <cstdint>
#include <vector>

#include "spline.h"

namespace flare {

// Room for one bundle of lines while it is resampled.
class Bundle {
 public:
    Bundle(int64_t sources, int64_t targets) : lanes_((sources + 2 * kEdge) * kLanes), made_(targets * kLanes) {}

    float* samples() { return lanes_.data() + kEdge * kLanes; }
    const float* made() const { return made_.data(); }

    // Makes targets [start, stop) from `count` loaded samples, of which the first is source sample `origin`.
    void resample(const Axis& axis, int64_t origin, int64_t count, int64_t start, int64_t stop) {
        prepare(axis.order, count, lanes_.data());
        evaluate(axis, start, stop, origin, lanes_.data(), made_.data());
    }

 private:
    std::vector<float> lanes_, made_;
};

// A rectangle of samples; rows are `stride` samples apart.
struct Plane {
    const float* data;
    int64_t rows, columns, stride;
};

// One thread's scratch for planes of (y.source, x.source) samples.
class InPlane {
 public:
    InPlane(const Axis& y, const Axis& x);

    // source (y.source, x.source) -> target (y.targets(), x.targets()), both dense.
    void resample(const float* source, float* target);

 private:
    void along_y(const Plane& source, float* target);
    void along_x(const Plane& source, float* target);

    const Axis& y_;
    const Axis& x_;
    bool x_first_;
    Bundle bundle_;
    std::vector<float> middle_;
};

}  // namespace flare
