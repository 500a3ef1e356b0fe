#include "separable.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "separable_rows.h"
#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kCacheBytes = 1 << 20;  // of a core's second cache: a strip's three planes stay there

std::atomic<int> most_bits{0};

const RowLoops& loops() {
    const int limit = most_bits, widest = separable_register_bits();
    return *((limit ? std::min(limit, widest) : widest) == 512 ? loops_of_512_bits() : loops_of_256_bits());
}

// Scratch of each thread that begins where a line of the cache does: vectors of 64 bytes that cross two take twice as long.
class Scratch {
 public:
    Scratch(const Team& team, int64_t floats) : buffers_(team, floats + kLanes) {}
    float* operator[](int thread) {
        const uintptr_t at = reinterpret_cast<uintptr_t>(buffers_[thread]), line = kLanes * sizeof(float);
        return reinterpret_cast<float*>((at + line - 1) / line * line);
    }

 private:
    PerThread<float> buffers_;
};

// Rows of the result that one thread works on, plane after plane, for some of its planes.
struct Strip {
    int64_t z_start, z_stop, y_start, y_stop;
};

// The activated input of a strip: three planes at once, plane z at z % 3, with a rim of zeros.
class Window {
 public:
    Window(const Block& block, int64_t rows)
        : block_(block), size_(block.size()), channels_(block.channels()), row_((size_.x + 2 + 2 * kSpare) * channels_),
          plane_(row_ * rows), planes_(3 * plane_), below_(0) {
        for (const BlockSource& source : block.sources) {
            if (source.up.kernel) below_ = std::max(below_, (source.map.size.x + kSpare) * source.map.channels);
        }
    }

    size_t floats() const { return planes_ + below_; }

    // Row y of plane z, which begins one voxel left of the map; the strip's first row is y_first.
    float* row(float* scratch, int64_t z, int64_t y, int64_t y_first) const {
        return scratch + (z + 3) % 3 * plane_ + (y - y_first) * row_;
    }

    void fill(float* scratch, int64_t z, int64_t y_first, int64_t y_stop) const {
        for (int64_t y = y_first; y < y_stop; ++y) {
            float* at = row(scratch, z, y, y_first) + channels_;  // the rim stays 0, as all was at first
            if (z < 0 || z >= size_.z || y < 0 || y >= size_.y) {
                std::memset(at, 0, size_.x * channels_ * sizeof(float));
                continue;
            }
            for (const BlockSource& source : block_.sources) {
                read(source, z, y, at, scratch + planes_);
                at += source.channels();
            }
        }
    }

 private:
    void read(const BlockSource& source, int64_t z, int64_t y, float* to, float* below) const {
        const FeatureMap& map = source.map;
        const Extent stride = source.up.kernel ? source.up.stride : Extent{1, 1, 1};
        const int64_t from = (z / stride.z * map.size.y + y / stride.y) * map.size.x;
        const float* values = map.values + from * map.stored();
        if (!source.up.kernel) return loops().activate(map, values, map.size.x, to, channels_);
        loops().activate(map, values, map.size.x, below, map.channels);
        const int64_t place = (z % stride.z * stride.y + y % stride.y) * stride.x;
        loops().upsample_row(source.up, source.up.kernel + place * map.channels * source.up.channels, below, map.size.x, map.channels, to,
                             channels_);
    }

    const Block& block_;
    const Extent size_;
    const int64_t channels_, row_, plane_, planes_;
    int64_t below_;
};

// Strips whose window fits the cache, and so many that every thread has some.
std::vector<Strip> strips_of(const Block& block, int threads) {
    const Extent size = block.size(), result = block.result();
    const int64_t row_bytes = 3 * (size.x + 2) * block.channels() * int64_t{sizeof(float)};
    const int64_t rows = std::clamp((kCacheBytes / row_bytes - 2) / block.stride.y, int64_t{1}, result.y);
    const int64_t across = (result.y + rows - 1) / rows;
    const int64_t slabs = std::clamp(3 * threads / across, int64_t{1}, std::max(result.z / 4, int64_t{1}));
    std::vector<Strip> strips;
    for (int64_t slab = 0; slab < slabs; ++slab) {
        for (int64_t y = 0; y < result.y; y += rows) {
            strips.push_back({result.z * slab / slabs, result.z * (slab + 1) / slabs, y, std::min(y + rows, result.y)});
        }
    }
    return strips;
}

// Sums and sums of squares (2, out) of rows of `voxels` values, each told as its first value and sums of the differences from it
// and of their squares (rows, 3, out). In the order of the rows, so that they do not hang on the threads.
void add_up(const std::vector<float>& rows, int64_t out, int64_t voxels, double* sums) {
    std::fill(sums, sums + 2 * out, 0.0);
    for (size_t at = 0; at < rows.size(); at += 3 * out) {
        const float *first = rows.data() + at, *sum = first + out, *squares = sum + out;
        for (int64_t c = 0; c < out; ++c) {
            const double start = first[c];
            sums[c] += voxels * start + sum[c];
            sums[out + c] += (voxels * start + 2.0 * sum[c]) * start + squares[c];
        }
    }
}

}  // namespace

int64_t Block::channels() const {
    int64_t count = 0;
    for (const BlockSource& source : sources) count += source.channels();
    return count;
}

Extent Block::result() const {
    const Extent whole = size();
    return {(whole.z + stride.z - 1) / stride.z, (whole.y + stride.y - 1) / stride.y, (whole.x + stride.x - 1) / stride.x};
}

int separable_register_bits() {
#if FLARE_X86
    if (__builtin_cpu_supports("avx512f")) return 512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
    return 0;
}

void limit_separable_register_bits(int bits) { most_bits = bits; }

void separable_block(const Block& block, float* result, double* sums) {
    const Team team;
    const Extent size = block.result();
    const int64_t channels = block.channels();
    const std::vector<Strip> strips = strips_of(block, team.size());
    int64_t rows = 0;
    for (const Strip& strip : strips) rows = std::max(rows, (strip.y_stop - strip.y_start - 1) * block.stride.y + 3);
    const Window window(block, rows);
    Scratch scratch(team, window.floats()), convolved(team, (size.x + kSpare) * channels);
    std::vector<float> row_sums(size.z * size.y * 3 * block.out);
    team.run(strips.size(), [&](int64_t index, int thread) {
        const Strip& strip = strips[index];
        const int64_t y_first = strip.y_start * block.stride.y - 1, y_stop = (strip.y_stop - 1) * block.stride.y + 2;
        int64_t filled = strip.z_start * block.stride.z - 1;  // the next plane to fill
        for (int64_t z = strip.z_start; z < strip.z_stop; ++z) {
            for (; filled <= z * block.stride.z + 1; ++filled) window.fill(scratch[thread], filled, y_first, y_stop);
            for (int64_t y = strip.y_start; y < strip.y_stop; ++y) {
                const float* taps[9];
                for (int tap = 0; tap < 9; ++tap) {
                    taps[tap] = window.row(scratch[thread], z * block.stride.z - 1 + tap / 3, y * block.stride.y - 1 + tap % 3, y_first);
                }
                loops().depthwise(taps, block.depthwise, channels, block.stride.x, size.x, convolved[thread]);
                const int64_t row = z * size.y + y;
                loops().pointwise(convolved[thread], channels, block.pointwise, block.out, size.x, result + row * size.x * block.out,
                                  row_sums.data() + row * 3 * block.out);
            }
        }
    });
    add_up(row_sums, block.out, size.x, sums);
}

void first_convolution(const float* image, const float* kernel, const Extent& size, float* result, double* sums) {
    const Team team;
    const int64_t width = size.x + 2;
    PerThread<float> scratch(team, 9 * width);
    std::vector<float> row_sums(size.z * size.y * 3);
    team.run(size.z, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < size.y; ++y) {
            float* rows = scratch[thread];
            for (int tap = 0; tap < 9; ++tap) {
                const int64_t from_z = z + tap / 3 - 1, from_y = y + tap % 3 - 1;
                float* row = rows + tap * width + 1;
                if (from_z < 0 || from_z >= size.z || from_y < 0 || from_y >= size.y) {
                    std::fill(row, row + size.x, 0.0f);
                } else {
                    std::copy_n(image + (from_z * size.y + from_y) * size.x, size.x, row);
                }
            }
            float* to = result + (z * size.y + y) * size.x;
            std::fill(to, to + size.x, 0.0f);
            for (int tap = 0; tap < 9; ++tap) {
                const float* row = rows + tap * width;
                const float left = kernel[3 * tap], middle = kernel[3 * tap + 1], right = kernel[3 * tap + 2];
                for (int64_t x = 0; x < size.x; ++x) to[x] += left * row[x] + middle * row[x + 1] + right * row[x + 2];
            }
            float* sum = row_sums.data() + (z * size.y + y) * 3;
            sum[0] = to[0];
            for (int64_t x = 0; x < size.x; ++x) {
                const float more = to[x] - to[0];
                sum[1] += more;
                sum[2] += more * more;
            }
        }
    });
    add_up(row_sums, 1, size.x, sums);
}

void last_convolution(const FeatureMap& map, const float* kernel, const float* bias, int64_t count, float* logits) {
    const Team team;
    Scratch scratch(team, (map.size.x + kSpare) * map.channels);
    team.run(map.size.z, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < map.size.y; ++y) {
            const int64_t from = (z * map.size.y + y) * map.size.x;
            loops().activate(map, map.values + from * map.stored(), map.size.x, scratch[thread], map.channels);
            loops().logits_row(scratch[thread], map.channels, kernel, bias, count, map.size.x, logits + from, map.size.voxels());
        }
    });
}

}  // namespace flare
