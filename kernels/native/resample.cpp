// Planes are resampled in y and x one at a time. Along z, kWindow planes are held at most: a cubic's prefilter forgets what
// lies kHalo samples away, so the axis is done in chunks and the scratch does not grow with the scan's length.

#include "resample.h"

#include <algorithm>
#include <memory>
#include <type_traits>
#include <vector>

#include "in_plane.h"
#include "intensity.h"
#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kWindow = 96;
constexpr int64_t kHalo = 16;  // 0.268^16 = 7e-10

FLARE_CLONES void clamp(float* values, int64_t count, float lowest, float highest) {
    for (int64_t i = 0; i < count; ++i) {
        const float raised = values[i] < lowest ? lowest : values[i];
        values[i] = raised > highest ? highest : raised;
    }
}

// Consecutive target planes, and the source planes that they need.
struct Chunk {
    int64_t start, stop, source_start, source_stop;
};

std::vector<Chunk> chunks(const Axis& z) {
    const int64_t halo = z.order == 3 ? kHalo : 0;
    std::vector<Chunk> result;
    for (int64_t t = 0; t < z.targets(); ++t) {
        const int64_t needed_start = std::max(z.first[t] - halo, int64_t{0});
        const int64_t needed_stop = std::min(z.first[t] + z.order + 1 + halo, z.source);
        const bool fits = !result.empty() && needed_stop - result.back().source_start <= kWindow && t - result.back().start < kWindow;
        if (!fits) result.push_back({t, t, needed_start, needed_stop});
        result.back().stop = t + 1;
        result.back().source_stop = needed_stop;
    }
    return result;
}

// Planes of one size, of which plane k lies at k % count.
struct Planes {
    float* data;
    int64_t count, size;

    float* operator[](int64_t k) const { return data + k % count * size; }
};

class Resampler {
 public:
    explicit Resampler(const Resample& job)
        : job_(job), source_size_(job.y.source * job.x.source),
          target_{job.target, job.z.targets(), job.y.targets() * job.x.targets()},
          in_plane_(team_.size(), InPlane(job.y, job.x)),
          normalised_(team_, job.image.index() == 0 ? 0 : source_size_) {}

    // Nearest along z: only the source planes that are asked for.
    void planes_only() {
        const Axis& z = job_.z;
        team_.run(z.targets(), [&](int64_t t, int thread) {
            if (t > 0 && z.first[t] == z.first[t - 1]) return;
            finish_plane(source_plane(z.first[t], thread), t, thread);
            for (int64_t same = t + 1; same < z.targets() && z.first[same] == z.first[t]; ++same) {
                std::copy_n(target_[t], target_.size, target_[same]);
            }
        });
    }

    void planes_first() {
        const int64_t planes = std::min(kWindow, job_.z.source);
        const std::unique_ptr<float[]> scratch(new float[planes * target_.size]);
        const Planes window{scratch.get(), planes, target_.size};
        int64_t done = 0;
        for (const Chunk& chunk : chunks(job_.z)) {
            const int64_t from = std::max(done, chunk.source_start);
            team_.run(chunk.source_stop - from, [&](int64_t k, int thread) {
                const float* const plane = source_plane(from + k, thread);
                in_plane_[thread].resample(plane, window[from + k]);
                if (job_.by_slice) clamp_to(plane, window[from + k]);
            });
            done = chunk.source_stop;
            const auto load = [&](int64_t k, int64_t row, int64_t x, int64_t lines, float* lanes) {
                std::copy_n(window[k] + row * job_.x.targets() + x, lines, lanes);
            };
            along_z(chunk, load, target_, job_.x.targets());
            if (job_.by_slice) continue;
            team_.run(chunk.stop - chunk.start, [&](int64_t t, int) {
                clamp(target_[chunk.start + t], target_.size, job_.lowest, job_.highest);
            });
        }
    }

    void z_first() {
        const std::vector<Chunk> all = chunks(job_.z);
        int64_t longest = 0;
        for (const Chunk& chunk : all) longest = std::max(longest, chunk.stop - chunk.start);
        const std::unique_ptr<float[]> scratch(new float[longest * source_size_]);
        const Planes window{scratch.get(), longest, source_size_};
        const auto load = [&](int64_t k, int64_t row, int64_t x, int64_t lines, float* lanes) {
            load_line(k, row, x, lines, lanes);
        };
        for (const Chunk& chunk : all) {
            along_z(chunk, load, window, job_.x.source);
            team_.run(chunk.stop - chunk.start, [&](int64_t t, int thread) {
                finish_plane(window[chunk.start + t], chunk.start + t, thread);
            });
        }
    }

 private:
    // `count` normalised samples of a line along x.
    void load_line(int64_t z, int64_t y, int64_t x, int64_t count, float* samples) const {
        const auto load = [&](const auto& image) {
            if constexpr (std::is_pointer_v<std::decay_t<decltype(image)>>) {
                std::copy_n(image + z * source_size_ + y * job_.x.source + x, count, samples);
            } else {
                const auto* const line = image.first + z * image.strides[0] + y * image.strides[1] + x * image.strides[2];
                normalise_line(line, image.strides[2], samples, count, image.to);
            }
        };
        std::visit(load, job_.image);
    }

    // A dense source plane; that of a scan stays until the thread asks for another.
    const float* source_plane(int64_t z, int thread) {
        if (const auto* const dense = std::get_if<const float*>(&job_.image)) return *dense + z * source_size_;
        float* const plane = normalised_[thread];
        for (int64_t y = 0; y < job_.y.source; ++y) load_line(z, y, 0, job_.x.source, plane + y * job_.x.source);
        return plane;
    }

    void finish_plane(const float* plane, int64_t t, int thread) {
        in_plane_[thread].resample(plane, target_[t]);
        if (job_.by_slice) return clamp_to(plane, target_[t]);
        clamp(target_[t], target_.size, job_.lowest, job_.highest);
    }

    // Clamps a plane of the target's size to the range of a source plane.
    void clamp_to(const float* source, float* plane) {
        const Range range = range_of(source, source_size_);
        clamp(plane, target_.size, static_cast<float>(range.low), static_cast<float>(range.high));
    }

    // `load` reads `lines` samples of a row of plane k, from column x on.
    template <class Load>
    void along_z(const Chunk& chunk, const Load& load, const Planes& to, int64_t columns) {
        const int64_t sources = chunk.source_stop - chunk.source_start, targets = chunk.stop - chunk.start;
        std::vector<Bundle> bundles(team_.size(), Bundle(sources, targets));
        team_.run(to.size / columns, [&](int64_t row, int thread) {
            Bundle& bundle = bundles[thread];
            for (int64_t x = 0; x < columns; x += kLanes) {
                const int64_t lines = std::min(kLanes, columns - x);
                for (int64_t k = 0; k < sources; ++k) {
                    float* lanes = bundle.samples() + k * kLanes;
                    load(chunk.source_start + k, row, x, lines, lanes);
                    std::fill(lanes + lines, lanes + kLanes, 0.0f);
                }
                bundle.resample(job_.z, chunk.source_start, sources, chunk.start, chunk.stop);
                for (int64_t t = 0; t < targets; ++t) {
                    std::copy_n(bundle.made() + t * kLanes, lines, to[chunk.start + t] + row * columns + x);
                }
            }
        });
    }

    const Resample& job_;
    const Team team_;
    const int64_t source_size_;  // samples of a source plane
    const Planes target_;
    std::vector<InPlane> in_plane_;
    PerThread<float> normalised_;  // a plane of a scan
};

// Whether fewer samples are made by resampling along z before the planes.
bool z_is_cheaper_first(const Resample& job) {
    const int64_t source = job.y.source * job.x.source, target = job.y.targets() * job.x.targets();
    const int64_t planes = job.z.source + job.z.targets();
    const int64_t in_plane = source + target + std::min(job.y.source * job.x.targets(), job.y.targets() * job.x.source);
    return source * planes + job.z.targets() * in_plane < job.z.source * in_plane + target * planes;
}

}  // namespace

void resample(const Resample& job) {
    if (job.z.targets() * job.y.targets() * job.x.targets() == 0) return;
    Resampler resampler(job);
    if (job.z.order == 0) return resampler.planes_only();
    if (!job.by_slice && z_is_cheaper_first(job)) return resampler.z_first();
    resampler.planes_first();
}

}  // namespace flare
