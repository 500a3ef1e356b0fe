// Each target voxel lies in a cell of the network grid. Where the cell's corners agree on a clear winner (sure_channels.h),
// the label is known; only the other cells, along the borders of organs, pay for interpolating all channels.

#include "restore.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "simd.h"
#include "sure_channels.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kRowsPerTask = 16;
constexpr int64_t kGap = 8;  // two stretches of open voxels closer than this are compared as one

FLARE_CLONES void interpolate(float* lower, const float* upper, float weight, int64_t count) {
    for (int64_t i = 0; i < count; ++i) lower[i] += weight * (upper[i] - lower[i]);
}

FLARE_CLONES void interpolate_at(const float* source, const int32_t* lower, const int32_t* upper, const float* weight,
                                 float* target, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const float a = source[lower[i]], b = source[upper[i]];
        target[i] = a + weight[i] * (b - a);
    }
}

FLARE_CLONES void take_larger(const float* logits, int32_t label, float* best, int32_t* labels, int64_t count) {
    for (int64_t i = 0; i < count; ++i) {
        const bool better = logits[i] > best[i];
        best[i] = better ? logits[i] : best[i];
        labels[i] = better ? label : labels[i];
    }
}

FLARE_CLONES void take_positive(const float* logits, int32_t label, int32_t* labels, int64_t count) {
    for (int64_t i = 0; i < count; ++i) labels[i] = logits[i] > 0 ? label : labels[i];
}

FLARE_CLONES void agree(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d, uint8_t* common,
                        int64_t count) {
    for (int64_t i = 0; i < count; ++i) common[i] = ((a[i] == b[i]) & (a[i] == c[i]) & (a[i] == d[i])) ? a[i] : kUnsure;
}

// Position of one target row between four source rows.
struct RowTaps {
    int32_t plane_lower, plane_upper, row_lower, row_upper;
    float plane_weight, row_weight;
};

class RowRestorer {
 public:
    RowRestorer(const Restore& job, const uint8_t* sure)
        : job_(job), sure_(sure), common_(job.ring.columns), logits_(job.x.count), best_(job.x.count), chosen_(job.x.count),
          rounded_(job.x.count) {
        for (auto& row : rows_) row.resize(job.ring.columns);
    }

    void restore(int64_t z, int64_t y) {
        const RowTaps taps{job_.z.lower[z], job_.z.upper[z], job_.y.lower[y], job_.y.upper[y], job_.z.weight[z], job_.y.weight[y]};
        uint8_t* labels = job_.labels + (z * job_.y.count + y) * job_.x.count;
        find_common(taps);
        int64_t start = 0;
        while ((start = next_open(start, labels)) < job_.x.count) {
            const int64_t stop = end_of_open(start);
            compare(taps, start, stop, labels);
            start = stop;
        }
    }

 private:
    const uint8_t* sure_row(int32_t plane, int32_t row) const {
        return sure_ + (static_cast<int64_t>(plane) * job_.ring.rows + row) * job_.ring.columns;
    }

    void find_common(const RowTaps& taps) {
        agree(sure_row(taps.plane_lower, taps.row_lower), sure_row(taps.plane_lower, taps.row_upper),
              sure_row(taps.plane_upper, taps.row_lower), sure_row(taps.plane_upper, taps.row_upper), common_.data(),
              job_.ring.columns);
    }

    uint8_t winner(int64_t x) const {
        const uint8_t lower = common_[job_.x.lower[x]];
        return lower == common_[job_.x.upper[x]] ? lower : kUnsure;
    }

    // Labels the voxels from `x` whose cell has a winner, and returns the first one whose cell has none.
    int64_t next_open(int64_t x, uint8_t* labels) const {
        for (; x < job_.x.count; ++x) {
            const uint8_t channel = winner(x);
            if (channel == kUnsure) break;
            labels[x] = channel == kNoChannel ? 0 : job_.values[channel];
        }
        return x;
    }

    int64_t end_of_open(int64_t x) const {
        int64_t stop = x + 1;
        for (int64_t ahead = stop; ahead < std::min(stop + kGap, job_.x.count); ++ahead) {
            if (winner(ahead) == kUnsure) stop = ahead + 1;
        }
        return stop;
    }

    void compare(const RowTaps& taps, int64_t start, int64_t stop, uint8_t* labels) {
        const int64_t count = stop - start;
        const bool largest = job_.choice == Choice::kFirstLargest;
        std::fill_n(best_.begin(), count, -INFINITY);
        std::fill_n(chosen_.begin(), count, largest ? job_.values[0] : 0);
        for (int64_t c = 0; c < job_.ring.channels; ++c) {
            interpolate_channel(c, taps, start, count);
            if (largest) {
                take_larger(logits_.data(), job_.values[c], best_.data(), chosen_.data(), count);
            } else {
                take_positive(logits_.data(), job_.values[c], chosen_.data(), count);
            }
        }
        std::copy_n(chosen_.begin(), count, labels + start);
    }

    void interpolate_channel(int64_t channel, const RowTaps& taps, int64_t start, int64_t count) {
        const int32_t *lower = job_.x.lower + start, *upper = job_.x.upper + start;
        const int64_t first = std::min(*std::min_element(lower, lower + count), *std::min_element(upper, upper + count));
        const int64_t last = std::max(*std::max_element(lower, lower + count), *std::max_element(upper, upper + count));
        const int64_t length = last + 1 - first, columns = job_.ring.columns;
        const Half* plane_lower = job_.ring.plane(channel, taps.plane_lower) + first;
        const Half* plane_upper = job_.ring.plane(channel, taps.plane_upper) + first;
        widen(plane_lower + taps.row_lower * columns, rows_[0].data() + first, length);
        widen(plane_upper + taps.row_lower * columns, rows_[1].data() + first, length);
        widen(plane_lower + taps.row_upper * columns, rows_[2].data() + first, length);
        widen(plane_upper + taps.row_upper * columns, rows_[3].data() + first, length);
        interpolate(rows_[0].data() + first, rows_[1].data() + first, taps.plane_weight, length);
        interpolate(rows_[2].data() + first, rows_[3].data() + first, taps.plane_weight, length);
        interpolate(rows_[0].data() + first, rows_[2].data() + first, taps.row_weight, length);
        interpolate_at(rows_[0].data(), lower, upper, job_.x.weight + start, logits_.data(), count);
        narrow(logits_.data(), rounded_.data(), count);
        widen(rounded_.data(), logits_.data(), count);
    }

    const Restore& job_;
    const uint8_t* sure_;
    std::vector<uint8_t> common_;
    std::vector<float> rows_[4];
    std::vector<float> logits_, best_;
    std::vector<int32_t> chosen_;
    std::vector<Half> rounded_;
};

// The sure channels of every plane that the z taps name, (planes, rows, columns).
std::vector<uint8_t> find_sure(const Restore& job, const Team& team) {
    const RingView& ring = job.ring;
    std::vector<int32_t> planes(job.z.lower, job.z.lower + job.z.count);
    planes.insert(planes.end(), job.z.upper, job.z.upper + job.z.count);
    std::sort(planes.begin(), planes.end());
    planes.erase(std::unique(planes.begin(), planes.end()), planes.end());
    std::vector<uint8_t> sure(ring.planes * ring.plane_size());
    std::vector<SureChannels> rows(team.size(), SureChannels(ring.columns));
    team.run(static_cast<int64_t>(planes.size()), [&](int64_t index, int thread) {
        for (int64_t row = 0; row < ring.rows; ++row) {
            uint8_t* channels = sure.data() + planes[index] * ring.plane_size() + row * ring.columns;
            rows[thread].find(ring, job.choice, planes[index], row, channels);
        }
    });
    return sure;
}

}  // namespace

void restore(const Restore& job) {
    if (job.z.count * job.y.count * job.x.count == 0) return;
    const Team team;
    const std::vector<uint8_t> sure = find_sure(job, team);
    std::vector<RowRestorer> restorers(team.size(), RowRestorer(job, sure.data()));
    const int64_t tasks_per_plane = (job.y.count + kRowsPerTask - 1) / kRowsPerTask;
    team.run(job.z.count * tasks_per_plane, [&](int64_t task, int thread) {
        const int64_t z = task / tasks_per_plane, first = task % tasks_per_plane * kRowsPerTask;
        const int64_t stop = std::min(first + kRowsPerTask, job.y.count);
        for (int64_t y = first; y < stop; ++y) restorers[thread].restore(z, y);
    });
}

}  // namespace flare
