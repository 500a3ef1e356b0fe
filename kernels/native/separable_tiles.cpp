// Blocks of separable.h by products of tiles: planes two by two, rows of the result in groups that one set of tiles gives.
#include <cstring>

#include "separable.h"
#include "separable_rows.h"
#include "separable_scratch.h"
#include "separable_tile_rows.h"
#include "simd.h"
#include "threads.h"

#if FLARE_BF16
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace flare {

namespace {

constexpr int64_t kCacheBytes = 1 << 20;  // of a core's second cache: a strip's window stays there

#if FLARE_BF16
bool processor_has_tiles() {
    constexpr unsigned kTileBits = 1u << 22 | 1u << 24, kSavedBits = 1u << 17 | 1u << 18, kSaves = 1u << 27;
    unsigned a, b, c, d, low, high;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & kSaves)) return false;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & kSavedBits) == kSavedBits && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kTileBits) == kTileBits;
}

// Linux keeps tiles from processes that have not asked: they make what it saves of a thread 8 kB larger.
bool system_permits_tiles() {
    constexpr long kRequest = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    return syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
}
#endif

// The activated input of a strip: four planes at once, plane z at z % 4, see separable_tile_rows.h.
class TileWindow {
 public:
    TileWindow(const Block<Tiled>& block, int64_t rows, const Team& team)
        : block_(block), size_(block.size()), rows_(rows), blocks_(whole<Tiled>(block.result().x) * block.stride.x / 32),
          plane_(block.channels() * blocks_ * rows * 64), planes_(team, kWindowPlanes * plane_), halves_(team, most_halves()),
          mixed_(team, most_upsampled() * kLanes) {}

    WindowRow row(int64_t z, int64_t row, int thread) {
        return {planes_[thread] + (z + kWindowPlanes) % kWindowPlanes * plane_ + row * 64, rows_, blocks_};
    }

    // Rows y_first to y_stop - 1 of plane z.
    void fill(int64_t z, int64_t y_first, int64_t y_stop, int thread) {
        int64_t c = 0;
        for (const BlockSource<Tiled>& source : block_.sources) {
            const void* in_halves = nullptr;  // the row that is there
            for (int64_t y = y_first; y < y_stop; ++y) {
                const WindowRow to = row(z, y - y_first, thread).from_channel(c);
                if (z < 0 || z >= size_.z || y < 0 || y >= size_.y) loops_of_tiles()->clear(source.channels(), to);
                else if (!source.up.kernel) loops_of_tiles()->activate(source.map, source.map.row<Tiled>(z, y), to);
                else in_halves = upsample(source, {z, y, 0}, in_halves, to, thread);
            }
            c += source.channels();
        }
    }

 private:
    int64_t most_halves() const {
        int64_t values = 0;
        for (const BlockSource<Tiled>& source : block_.sources) {
            const FeatureMap& map = source.map;
            if (source.up.kernel) values = std::max(values, whole<Tiled>(map.size.x) * rounded_up(map.channels, kPaired));
        }
        return values;
    }

    int64_t most_upsampled() const {  // voxels of a row
        int64_t voxels = 0;
        for (const auto& [map, up] : block_.sources) voxels = std::max(voxels, whole<Tiled>(map.size.x) * up.stride.x);
        return voxels;
    }

    // Row (z, y); the row of the map that lies in halves, and does now.
    const void* upsample(const BlockSource<Tiled>& source, const Extent& at, const void* in_halves, WindowRow to, int thread) {
        const Extent stride = source.up.stride;
        const void* row = source.map.row<Tiled>(at.z / stride.z, at.y / stride.y);
        if (row != in_halves) loops_of_tiles()->activate_halves(source.map, row, halves_[thread]);
        const int64_t place = (at.z % stride.z * stride.y + at.y % stride.y) * stride.x;
        const Tiled* kernel = source.up.kernel + place * source.up.channels * rounded_up(source.map.channels, kPaired);
        loops_of_tiles()->upsample_row(source, halves_[thread], kernel, mixed_[thread], to);
        return row;
    }

    const Block<Tiled>& block_;
    const Extent size_;
    const int64_t rows_, blocks_, plane_;
    Scratch<Tiled> planes_, halves_;
    Scratch<float> mixed_;
};

// Rows of the result that one thread works on, plane after plane, for some of its planes; whole groups but for the last.
struct TileStrip {
    int64_t z_start, z_stop, y_start, y_stop;
};

// Rows of the window for so many groups of rows of the result.
int64_t window_rows(const Block<Tiled>& block, int64_t groups) {
    return (groups - 1) * group_of(block.stride.y) * block.stride.y + kWindowRows;
}

// Groups whose window fits the cache.
int64_t groups_at_once(const Block<Tiled>& block) {
    const Extent result = block.result();
    const int64_t voxels = whole<Tiled>(result.x) * block.stride.x;
    const int64_t row_bytes = kWindowPlanes * block.channels() * 2 * voxels * int64_t{sizeof(Tiled)};
    const int64_t all = (result.y + group_of(block.stride.y) - 1) / group_of(block.stride.y);
    int64_t groups = 1;
    while (groups < all && window_rows(block, groups + 1) * row_bytes <= kCacheBytes) ++groups;
    return groups;
}

// So many strips that every thread has some.
std::vector<TileStrip> strips_of(const Block<Tiled>& block, int64_t rows, int threads) {
    const Extent result = block.result();
    const int64_t across = (result.y + rows - 1) / rows;
    const int64_t slabs = std::clamp(3 * threads / across, int64_t{1}, std::max(result.z / 4, int64_t{1}));
    std::vector<TileStrip> strips;
    for (int64_t slab = 0; slab < slabs; ++slab) {
        for (int64_t y = 0; y < result.y; y += rows) {
            strips.push_back({result.z * slab / slabs, result.z * (slab + 1) / slabs, y, std::min(y + rows, result.y)});
        }
    }
    return strips;
}

// Works on strips of a block.
class TileBlock {
 public:
    TileBlock(const Block<Tiled>& block, int64_t groups, const Team& team)
        : block_(block), size_(block.result()), group_(group_of(block.stride.y)),
          depthwise_{block.depthwise, block.channels(), block.stride, whole<Tiled>(size_.x) / 32},
          window_(block, window_rows(block, groups), team),
          halves_(team, kPlanes * group_ * depthwise_.row_halves()), sums_(team, depthwise_.scratch()),
          mixed_(team, whole<Tiled>(size_.x) * kLanes), parts_(size_.z * groups_across() * 3 * block.out) {}

    void run(const TileStrip& strip, Tiled* result, int thread) {
        const Extent stride = block_.stride;
        const int64_t y_first = strip.y_start * stride.y - 1, y_stop = (strip.y_stop - 1) * stride.y + 2;
        int64_t filled = strip.z_start * stride.z - 1;  // the next plane to fill
        loops_of_tiles()->set_up(depthwise_.rows());
        for (int64_t z = strip.z_start, count; z < strip.z_stop; z += count) {
            count = stride.z == 1 ? std::min(kPlanes, strip.z_stop - z) : 1;
            for (; filled <= (z + count - 1) * stride.z + 1; ++filled) window_.fill(filled, y_first, y_stop, thread);
            for (int64_t y = strip.y_start; y < strip.y_stop; y += group_) {
                WindowRow planes[kWindowPlanes];
                for (int64_t k = 0; k < count + 2; ++k) {
                    planes[k] = window_.row(z * stride.z - 1 + k, (y - strip.y_start) * stride.y, thread);
                }
                loops_of_tiles()->depthwise(depthwise_, planes, count, sums_[thread], halves_[thread]);
                const int64_t plane_halves = group_ * depthwise_.row_halves();
                for (int64_t k = 0; k < count; ++k) mix({z + k, y, 0}, halves_[thread] + k * plane_halves, result, thread);
            }
        }
        loops_of_tiles()->release();
    }

    void add_up_parts(double* sums) const {
        const auto voxels = [&](size_t part) { return rows_at(static_cast<int64_t>(part) % groups_across() * group_) * size_.x; };
        add_up(parts_, block_.out, voxels, sums);
    }

 private:
    static constexpr int64_t kPlanes = kWindowPlanes - 2;

    int64_t groups_across() const { return (size_.y + group_ - 1) / group_; }
    int64_t rows_at(int64_t y) const { return std::min(group_, size_.y - y); }

    // The group of rows that begins at a row.
    void mix(const Extent& at, const Tiled* halves, Tiled* result, int thread) {
        const int64_t rows = rows_at(at.y);
        const TilePointwise pointwise{block_.pointwise, depthwise_.channels, block_.out, rows, size_.x, block_.stride.x == 1};
        Tiled* to = result + (at.z * size_.y + at.y) * whole<Tiled>(size_.x) * block_.out;
        float* sums = parts_.data() + (at.z * groups_across() + at.y / group_) * 3 * block_.out;
        loops_of_tiles()->pointwise(pointwise, halves, mixed_[thread], to, sums);
    }

    const Block<Tiled>& block_;
    const Extent size_;
    const int64_t group_;
    const TileDepthwise depthwise_;
    TileWindow window_;
    Scratch<Tiled> halves_;
    Scratch<float> sums_, mixed_;
    std::vector<float> parts_;
};

}  // namespace

bool separable_tiles() {
#if FLARE_BF16
    static const bool vectors = separable_bf16() && __builtin_cpu_supports("avx512vbmi2");
    static const bool tiles = vectors && processor_has_tiles() && system_permits_tiles();
    return tiles;
#else
    return false;
#endif
}

template <>
void separable_block(const Block<Tiled>& block, Tiled* result, double* sums) {
    const Team team;
    const int64_t groups = groups_at_once(block);
    const std::vector<TileStrip> strips = strips_of(block, groups * group_of(block.stride.y), team.size());
    TileBlock work(block, groups, team);
    team.run(strips.size(), [&](int64_t index, int thread) { work.run(strips[index], result, thread); });
    work.add_up_parts(sums);
}

template <>
void last_convolution(const FeatureMap& map, const Tiled* kernel, const float* bias, int64_t count, float* logits) {
    const Team team;
    Scratch<Tiled> halves(team, whole<Tiled>(map.size.x) * rounded_up(map.channels, kPaired));
    Scratch<float> mixed(team, whole<Tiled>(map.size.x) * kLanes);
    team.run(map.size.z, [&](int64_t z, int thread) {
        loops_of_tiles()->set_up(12);
        for (int64_t y = 0; y < map.size.y; ++y) {
            loops_of_tiles()->activate_halves(map, map.row<Tiled>(z, y), halves[thread]);
            loops_of_tiles()->logits_row(map, halves[thread], kernel, bias, count, mixed[thread],
                                         logits + (z * map.size.y + y) * map.size.x);
        }
        loops_of_tiles()->release();
    });
}

}  // namespace flare
