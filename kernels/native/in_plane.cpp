#include "in_plane.h"

#include <algorithm>

namespace flare {

namespace {

// lanes[k * kLanes + line] = line `line` of `lines` contiguous rows.
void load_rows(const Plane& source, int64_t y, int64_t lines, float* lanes) {
    for (int64_t k = 0; k < source.columns; ++k) {
        for (int64_t line = 0; line < lines; ++line) lanes[k * kLanes + line] = source.data[(y + line) * source.stride + k];
        std::fill(lanes + k * kLanes + lines, lanes + (k + 1) * kLanes, 0.0f);
    }
}

void store_rows(const float* made, int64_t lines, float* target, int64_t columns) {
    for (int64_t line = 0; line < lines; ++line) {
        for (int64_t k = 0; k < columns; ++k) target[line * columns + k] = made[k * kLanes + line];
    }
}

}  // namespace

InPlane::InPlane(const Axis& y, const Axis& x)
    : y_(y), x_(x), x_first_(y.source * x.targets() <= y.targets() * x.source),
      bundle_(std::max(y.source, x.source), std::max(y.targets(), x.targets())),
      middle_(x_first_ ? y.source * x.targets() : y.targets() * x.source) {}

void InPlane::along_y(const Plane& source, float* target) {
    for (int64_t x = 0; x < source.columns; x += kLanes) {
        const int64_t lines = std::min(kLanes, source.columns - x);
        for (int64_t k = 0; k < source.rows; ++k) {
            float* lanes = bundle_.samples() + k * kLanes;
            std::fill(std::copy_n(source.data + k * source.stride + x, lines, lanes), lanes + kLanes, 0.0f);
        }
        bundle_.resample(y_, 0, source.rows, 0, y_.targets());
        for (int64_t t = 0; t < y_.targets(); ++t) {
            std::copy_n(bundle_.made() + t * kLanes, lines, target + t * source.columns + x);
        }
    }
}

void InPlane::along_x(const Plane& source, float* target) {
    for (int64_t y = 0; y < source.rows; y += kLanes) {
        const int64_t lines = std::min(kLanes, source.rows - y);
        load_rows(source, y, lines, bundle_.samples());
        bundle_.resample(x_, 0, source.columns, 0, x_.targets());
        store_rows(bundle_.made(), lines, target + y * x_.targets(), x_.targets());
    }
}

void InPlane::resample(const float* source, float* target) {
    Plane plane{source, y_.source, x_.source, x_.source};
    if (x_.copies()) {
        plane.data += x_.first[0];
        plane.columns = x_.targets();
    }
    if (y_.copies()) {
        plane.data += y_.first[0] * plane.stride;
        plane.rows = y_.targets();
    }
    if (x_.copies() && y_.copies()) {
        for (int64_t y = 0; y < plane.rows; ++y) {
            std::copy_n(plane.data + y * plane.stride, plane.columns, target + y * plane.columns);
        }
    } else if (x_.copies()) {
        along_y(plane, target);
    } else if (y_.copies()) {
        along_x(plane, target);
    } else if (x_first_) {
        along_x(plane, middle_.data());
        along_y({middle_.data(), plane.rows, x_.targets(), x_.targets()}, target);
    } else {
        along_y(plane, middle_.data());
        along_x({middle_.data(), y_.targets(), plane.columns, plane.columns}, target);
    }
}

}  // namespace flare
