#include "separable.h"

#include <algorithm>
#include <atomic>
#include <cstring>

#include "separable_rows.h"
#include "separable_scratch.h"
#include "simd.h"
#include "threads.h"

namespace flare {

namespace {

constexpr int64_t kCacheBytes = 1 << 20;  // of a core's second cache: a strip's three planes stay there

std::atomic<int> most_bits{0};

template <class T>
const RowLoops<T>& loops();

template <>
const RowLoops<float>& loops() {
    const int limit = most_bits, widest = separable_register_bits();
    return *((limit ? std::min(limit, widest) : widest) == 512 ? loops_of_512_bits() : loops_of_256_bits());
}

template <>
const RowLoops<Bf16>& loops() {
    return *loops_of_bf16();
}

// Rows of the result that one thread works on, plane after plane, for some of its planes.
struct Strip {
    int64_t z_start, z_stop, y_start, y_stop;
};

// The activated input of a strip: three planes at once, plane z at z % 3, with a rim of zeros of kTogether voxels.
template <class T>
class Window {
 public:
    Window(const Block<T>& block, int64_t rows)
        : block_(block), size_(block.size()), channels_(block.channels()),
          row_((whole<T>(size_.x) + 2 * kTogether<T> + 2 * kSpare) * channels_), plane_(row_ * rows), planes_(3 * plane_), below_(0) {
        for (const BlockSource<T>& source : block.sources) {
            if (source.up.kernel) below_ = std::max(below_, (source.map.size.x + kSpare) * source.map.channels);
        }
    }

    size_t values() const { return planes_ + below_; }

    // Row y of plane z, which begins kTogether voxels left of the map; the strip's first row is y_first.
    T* row(T* scratch, int64_t z, int64_t y, int64_t y_first) const { return scratch + (z + 3) % 3 * plane_ + (y - y_first) * row_; }

    void fill(T* scratch, int64_t z, int64_t y_first, int64_t y_stop) const {
        for (int64_t y = y_first; y < y_stop; ++y) {
            T* at = row(scratch, z, y, y_first) + kTogether<T> * channels_;  // the rim stays 0, as all was at first
            if (z < 0 || z >= size_.z || y < 0 || y >= size_.y) {
                std::memset(at, 0, whole<T>(size_.x) * channels_ * sizeof(T));
                continue;
            }
            for (const BlockSource<T>& source : block_.sources) {
                read(source, z, y, at, scratch + planes_);
                at += kTogether<T> * source.channels();
            }
        }
    }

 private:
    void read(const BlockSource<T>& source, int64_t z, int64_t y, T* to, T* below) const {
        const FeatureMap& map = source.map;
        if (!source.up.kernel) return loops<T>().activate(map, map.row<T>(z, y), map.size.x, to, channels_);
        const Extent stride = source.up.stride;
        const int64_t place = (z % stride.z * stride.y + y % stride.y) * stride.x;
        const T* kernel = source.up.kernel + place * map.channels * source.up.channels;
        loops<T>().upsample_row(source, map.row<T>(z / stride.z, y / stride.y), kernel, below, to, channels_);
    }

    const Block<T>& block_;
    const Extent size_;
    const int64_t channels_, row_, plane_, planes_;
    int64_t below_;
};

// Strips whose window fits the cache, and so many that every thread has some.
template <class T>
std::vector<Strip> strips_of(const Block<T>& block, int threads) {
    const Extent size = block.size(), result = block.result();
    const int64_t row_bytes = 3 * (size.x + 2) * block.channels() * int64_t{sizeof(T)};
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

// Adds what three taps of the first convolution make of a row.
FLARE_CLONES void add_taps(const float* row, const float* taps, int64_t voxels, float* to) {
    const float left = taps[0], middle = taps[1], right = taps[2];
    for (int64_t x = 0; x < voxels; ++x) to[x] += left * row[x] + middle * row[x + 1] + right * row[x + 2];
}

}  // namespace

template <class T>
int64_t Block<T>::channels() const {
    int64_t count = 0;
    for (const BlockSource<T>& source : sources) count += source.channels();
    return count;
}

template <class T>
Extent Block<T>::result() const {
    const Extent read = size();
    return {(read.z + stride.z - 1) / stride.z, (read.y + stride.y - 1) / stride.y, (read.x + stride.x - 1) / stride.x};
}

int separable_register_bits() {
#if FLARE_X86
    if (__builtin_cpu_supports("avx512f")) return 512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return 256;
#endif
    return 0;
}

bool separable_bf16() {
#if FLARE_BF16
    return __builtin_cpu_supports("avx512bf16") && __builtin_cpu_supports("avx512bw");
#else
    return false;
#endif
}

void limit_separable_register_bits(int bits) { most_bits = bits; }

template <class T>
void separable_block(const Block<T>& block, T* result, double* sums) {
    const Team team;
    const Extent size = block.result();
    const int64_t channels = block.channels();
    const std::vector<Strip> strips = strips_of(block, team.size());
    int64_t rows = 0;
    for (const Strip& strip : strips) rows = std::max(rows, (strip.y_stop - strip.y_start - 1) * block.stride.y + 3);
    const Window<T> window(block, rows);
    Scratch<T> scratch(team, window.values()), convolved(team, (size.x + kSpare) * channels);
    std::vector<float> row_sums(size.z * size.y * 3 * block.out);
    team.run(strips.size(), [&](int64_t index, int thread) {
        const Strip& strip = strips[index];
        const int64_t y_first = strip.y_start * block.stride.y - 1, y_stop = (strip.y_stop - 1) * block.stride.y + 2;
        int64_t filled = strip.z_start * block.stride.z - 1;  // the next plane to fill
        for (int64_t z = strip.z_start; z < strip.z_stop; ++z) {
            for (; filled <= z * block.stride.z + 1; ++filled) window.fill(scratch[thread], filled, y_first, y_stop);
            for (int64_t y = strip.y_start; y < strip.y_stop; ++y) {
                const T* taps[9];
                for (int tap = 0; tap < 9; ++tap) {
                    taps[tap] = window.row(scratch[thread], z * block.stride.z - 1 + tap / 3, y * block.stride.y - 1 + tap % 3, y_first);
                }
                loops<T>().depthwise(taps, block.depthwise, channels, block.stride.x, size.x, convolved[thread]);
                const int64_t row = z * size.y + y;
                loops<T>().pointwise(convolved[thread], channels, block.pointwise, block.out, size.x, result + row * whole<T>(size.x) * block.out,
                                  row_sums.data() + row * 3 * block.out);
            }
        }
    });
    add_up(row_sums, block.out, [&](size_t) { return size.x; }, sums);
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
            for (int tap = 0; tap < 9; ++tap) add_taps(rows + tap * width, kernel + 3 * tap, size.x, to);
            float* sum = row_sums.data() + (z * size.y + y) * 3;
            sum[0] = to[0];
            for (int64_t x = 0; x < size.x; ++x) {
                const float more = to[x] - to[0];
                sum[1] += more;
                sum[2] += more * more;
            }
        }
    });
    add_up(row_sums, 1, [&](size_t) { return size.x; }, sums);
}

template <class T>
void last_convolution(const FeatureMap& map, const T* kernel, const float* bias, int64_t count, float* logits) {
    const Team team;
    Scratch<T> scratch(team, (map.size.x + 2 * kSpare) * map.channels);
    team.run(map.size.z, [&](int64_t z, int thread) {
        for (int64_t y = 0; y < map.size.y; ++y) {
            float* to = logits + (z * map.size.y + y) * map.size.x;
            loops<T>().logits_row(map, map.row<T>(z, y), kernel, bias, count, scratch[thread], to);
        }
    });
}

template struct Block<Tiled>;
template void separable_block(const Block<float>&, float*, double*);
template void separable_block(const Block<Bf16>&, Bf16*, double*);
template void last_convolution(const FeatureMap&, const float*, const float*, int64_t, float*);
template void last_convolution(const FeatureMap&, const Bf16*, const float*, int64_t, float*);

}  // namespace flare
