// Each target voxel lies in a cell of the network grid. Where the cell's corners agree on a clear winner (sure_channels.h),
// the label is known; only the other cells, along the borders of organs, pay for interpolating all channels.

#include "restore.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "simd.h"
#include "sure_channels.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kRowsPerTask = 16;
constexpr int64_t kBlock = 8;  // columns of the network grid that are interpolated together

FLARE_CLONES void agree(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d, uint8_t* common,
                        int64_t count) {
    for (int64_t i = 0; i < count; ++i) common[i] = ((a[i] == b[i]) & (a[i] == c[i]) & (a[i] == d[i])) ? a[i] : kUnsure;
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

// A target row's voxels that need all channels, side by side.
struct Open {
    explicit Open(int64_t most) : x(most), lower(most), upper(most), chosen(most), weight(most), logits(most), best(most) {}

    int64_t count = 0;
    std::vector<int32_t> x, lower, upper, chosen;
    std::vector<float> weight, logits, best;
};

// One thread's scratch for target rows.
template <class Label>
class RowRestorer {
 public:
    RowRestorer(const Restore<Label>& job, const uint8_t* sure)
        : job_(job), sure_(sure), common_(job.ring.columns), wanted_((job.ring.columns + kBlock - 1) / kBlock),
          row_(job.ring.columns), open_(job.x.count) {
        std::fill(label_of_, label_of_ + 256, Label{0});
        std::copy_n(job.values, std::min<int64_t>(job.ring.channels, kNoChannel), label_of_);
    }

    void restore(int64_t z, int64_t y) {
        Label* labels = job_.labels + (z * job_.y.count + y) * job_.x.count;
        agree(sure_row(job_.z.lower[z], job_.y.lower[y]), sure_row(job_.z.lower[z], job_.y.upper[y]),
              sure_row(job_.z.upper[z], job_.y.lower[y]), sure_row(job_.z.upper[z], job_.y.upper[y]), common_.data(),
              job_.ring.columns);
        const bool uniform = std::memcmp(common_.data(), common_.data() + 1, common_.size() - 1) == 0;
        if (uniform && common_[0] != kUnsure) {
            std::fill_n(labels, job_.x.count, label_of_[common_[0]]);
            return;
        }
        label_sure_voxels(labels);
        if (open_.count == 0) return;
        choose(z, y);
        for (int64_t i = 0; i < open_.count; ++i) labels[open_.x[i]] = static_cast<Label>(open_.chosen[i]);
    }

 private:
    const uint8_t* sure_row(int32_t plane, int32_t row) const {
        return sure_ + (static_cast<int64_t>(plane) * job_.ring.rows + row) * job_.ring.columns;
    }

    void label_sure_voxels(Label* labels) {
        int64_t count = 0;
        for (int64_t x = 0; x < job_.x.count; ++x) {
            const uint8_t lower = common_[job_.x.lower[x]], upper = common_[job_.x.upper[x]];
            const uint8_t winner = lower == upper ? lower : kUnsure;
            labels[x] = label_of_[winner];
            open_.x[count] = static_cast<int32_t>(x);
            count += winner == kUnsure;
        }
        open_.count = count;
    }

    void choose(int64_t z, int64_t y) {
        const bool largest = job_.choice == Choice::kFirstLargest;
        gather_taps();
        std::fill_n(open_.best.begin(), open_.count, -INFINITY);
        std::fill_n(open_.chosen.begin(), open_.count, largest ? job_.values[0] : 0);
        for (int64_t c = 0; c < job_.ring.channels; ++c) {
            interpolate_channel(c, z, y);
            if (largest) {
                take_larger(open_.logits.data(), job_.values[c], open_.best.data(), open_.chosen.data(), open_.count);
            } else {
                take_positive(open_.logits.data(), job_.values[c], open_.chosen.data(), open_.count);
            }
        }
    }

    void gather_taps() {
        std::fill(wanted_.begin(), wanted_.end(), uint8_t{0});
        for (int64_t i = 0; i < open_.count; ++i) {
            const int32_t x = open_.x[i], lower = job_.x.lower[x], upper = job_.x.upper[x];
            open_.lower[i] = lower;
            open_.upper[i] = upper;
            open_.weight[i] = job_.x.weight[x];
            wanted_[lower / kBlock] = wanted_[upper / kBlock] = 1;
        }
    }

    void interpolate_channel(int64_t channel, int64_t z, int64_t y) {
        const Half* lower_plane = job_.ring.plane(channel, job_.z.lower[z]);
        const Half* upper_plane = job_.ring.plane(channel, job_.z.upper[z]);
        const int64_t lower_row = job_.y.lower[y] * job_.ring.columns, upper_row = job_.y.upper[y] * job_.ring.columns;
        const RowsBetween rows{lower_plane + lower_row, upper_plane + lower_row, lower_plane + upper_row,
                               upper_plane + upper_row, job_.z.weight[z],        job_.y.weight[y]};
        const int64_t blocks = static_cast<int64_t>(wanted_.size());
        for (int64_t block = 0; block < blocks; ++block) {
            if (!wanted_[block]) continue;
            const int64_t start = block * kBlock;
            while (block + 1 < blocks && wanted_[block + 1]) ++block;
            interpolate_rows(rows, start, std::min((block + 1) * kBlock, job_.ring.columns), row_.data());
        }
        interpolate_at(row_.data(), open_.lower.data(), open_.upper.data(), open_.weight.data(), open_.logits.data(),
                       open_.count);
        if (job_.in_half) round_to_half(open_.logits.data(), open_.count);
    }

    const Restore<Label>& job_;
    const uint8_t* sure_;
    Label label_of_[256];  // by channel; 0 for kNoChannel
    std::vector<uint8_t> common_, wanted_;
    std::vector<float> row_;
    Open open_;
};

// The sure channels of every plane that the z taps name, (planes, rows, columns).
template <class Label>
std::vector<uint8_t> find_sure(const Restore<Label>& job, const Team& team) {
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

template <class Label>
void restore(const Restore<Label>& job) {
    if (job.z.count * job.y.count * job.x.count == 0) return;
    const Team team;
    const std::vector<uint8_t> sure = find_sure(job, team);
    std::vector<RowRestorer<Label>> restorers(team.size(), RowRestorer<Label>(job, sure.data()));
    const int64_t tasks_per_plane = (job.y.count + kRowsPerTask - 1) / kRowsPerTask;
    team.run(job.z.count * tasks_per_plane, [&](int64_t task, int thread) {
        const int64_t z = task / tasks_per_plane, first = task % tasks_per_plane * kRowsPerTask;
        const int64_t stop = std::min(first + kRowsPerTask, job.y.count);
        for (int64_t y = first; y < stop; ++y) restorers[thread].restore(z, y);
    });
}

template void restore<uint8_t>(const Restore<uint8_t>& job);
template void restore<uint16_t>(const Restore<uint16_t>& job);

}  // namespace flare
