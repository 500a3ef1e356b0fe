// The innermost loops of separable_tiles.cpp, on a processor with AMX.
#include "separable_bf16_vectors.h"
#include "separable_tile_registers.h"

namespace flare {
namespace rows_of_tiles {

using namespace bf16_vectors;

FLARE_INLINE __mmask32 first_of_32(int64_t count) {
    return count >= 32 ? 0xffffffffu : count <= 0 ? 0 : static_cast<__mmask32>((1u << count) - 1);
}
FLARE_INLINE __mmask16 first_of_16(int64_t count) { return static_cast<__mmask16>(first_of_32(count)); }

// A row of one channel of a map, activated; zeros beyond its last voxel.
class ChannelRow {
 public:
    ChannelRow(const FeatureMap& map, const void* row, int64_t c)
        : values_(static_cast<const Tiled*>(row) + c * whole<Tiled>(map.size.x)), single_(static_cast<const float*>(row)),
          voxels_(map.size.x), one_channel_(map.one_channel), scale_(_mm512_set1_ps(map.scale[c])),
          shift_(_mm512_set1_ps(map.shift[c])) {}

    // Voxels x to x + 15.
    FLARE_INLINE __m512 sixteen(int64_t x) const {
        const __mmask16 there = first_of_16(voxels_ - x);
        if (one_channel_) return _mm512_maskz_mov_ps(there, activated(_mm512_maskz_loadu_ps(there, single_ + x), scale_, shift_));
        const __m256i stored = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values_ + x));
        const __m512 value = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(stored), 16));
        return _mm512_maskz_mov_ps(there, activated(value, scale_, shift_));
    }

    // Voxels x to x + 31, rounded.
    FLARE_INLINE __m512i thirty_two(int64_t x) const {
        if (one_channel_) return one_by_one({sixteen(x), sixteen(x + 16)});
        const Pair stored = unpack(_mm512_load_si512(values_ + x));
        const __m512i both = pack({activated(stored.even, scale_, shift_), activated(stored.odd, scale_, shift_)});
        return _mm512_maskz_mov_epi16(first_of_32(voxels_ - x), both);
    }

 private:
    const Tiled* values_;
    const float* single_;
    int64_t voxels_;
    bool one_channel_;
    __m512 scale_, shift_;
};

// Writes a row of one channel of the window, 32 voxels after 32, into both copies.
class WindowWriter {
 public:
    explicit WindowWriter(const WindowRow& row) : row_(row), last_(_mm512_setzero_si512()), late_(last_) {}

    FLARE_INLINE void put(int64_t block, __m512i values) {
        const __m512i late = next(values);
        _mm512_store_si512(row_.block(block), late);
        if (block > 0) _mm512_store_si512(row_.block(block - 1) + 32, _mm512_alignr_epi32(late, late_, 1));
        last_ = values;
        late_ = late;
    }

    // Zeros from a block on.
    FLARE_INLINE void finish(int64_t block) {
        for (; block < row_.blocks; ++block) put(block, _mm512_setzero_si512());
        _mm512_store_si512(row_.block(row_.blocks - 1) + 32, _mm512_alignr_epi32(next(_mm512_setzero_si512()), late_, 1));
    }

 private:
    // The same, a voxel late.
    FLARE_INLINE __m512i next(__m512i values) const {
        return _mm512_shldi_epi32(values, _mm512_alignr_epi32(values, last_, 15), 16);
    }

    const WindowRow row_;
    __m512i last_, late_;
};

inline void clear(int64_t channels, WindowRow to) {
    for (int64_t block = 0; block < channels * to.blocks; ++block) std::memset(to.block(block), 0, 64 * sizeof(Tiled));
}

inline void activate(const FeatureMap& map, const void* row, WindowRow to) {
    const int64_t blocks = whole<Tiled>(map.size.x) / 32;
    for (int64_t c = 0; c < map.channels; ++c) {
        const ChannelRow from(map, row, c);
        WindowWriter writer(to.from_channel(c));
        for (int64_t block = 0; block < blocks; ++block) writer.put(block, from.thirty_two(32 * block));
        writer.finish(blocks);
    }
}

inline void activate_halves(const FeatureMap& map, const void* row, Tiled* to) {
    const int64_t width = whole<Tiled>(map.size.x);
    for (int64_t c = 0; c < map.channels; c += 2) {
        const ChannelRow even(map, row, c), odd(map, row, c + 1);
        for (int64_t x = 0; x < width; x += 16) {
            _mm512_store_si512(to + c * width + 2 * x, pack({even.sixteen(x), odd.sixteen(x)}));
        }
    }
    // What others left here may be no number.
    std::memset(to + map.channels * width, 0, (rounded_up(map.channels, kPaired) - map.channels) * width * sizeof(Tiled));
}

// A row of halves, stored as `width` voxels, and the kernel (16, all) that mixes its channels, `all` a multiple of 32.
struct Mixing {
    const Tiled *halves, *kernel;
    int64_t all, width;

    // Voxels x to x + 15: (16, 16). With kLoaded the kernel is in tile 5 already.
    template <bool kLoaded>
    FLARE_INLINE void mix(int64_t x, float* mixed) const {
        zero<7>();
        for (int64_t k = 0; k < all; k += kPaired) {
            if (!kLoaded) load<5>(kernel + k, 2 * all);
            load<6>(halves + k * width + 2 * x, 4 * width);
            dot<7, 5, 6>();
        }
        store<7>(mixed);
    }

    // All of the first `voxels`; results are `apart` floats apart.
    FLARE_INLINE void run(int64_t voxels, float* mixed, int64_t apart) const {
        if (all == kPaired) {
            load<5>(kernel, 2 * all);
            for (int64_t x = 0; x < voxels; x += kLanes, mixed += apart) mix<true>(x, mixed);
        } else {
            for (int64_t x = 0; x < voxels; x += kLanes, mixed += apart) mix<false>(x, mixed);
        }
    }
};

// Writes a channel's row of an upsampled map from its sums: (x / 16, kBy, 16, 16).
template <int kBy>
FLARE_INLINE void put_upsampled(const float* mixed, __m512 bias, int64_t voxels, const WindowRow& to) {
    const int64_t blocks = whole<Tiled>(voxels) / 32;
    WindowWriter writer(to);
    for (int64_t block = 0; block < blocks; ++block) {
        const Pair pair{_mm512_load_ps(mixed + 512 * block) + bias, _mm512_load_ps(mixed + 512 * block + 256) + bias};
        writer.put(block, _mm512_maskz_mov_epi16(first_of_32(voxels - 32 * block), kBy == 1 ? one_by_one(pair) : pack(pair)));
    }
    writer.finish(blocks);
}

inline void upsample_row(const BlockSource<Tiled>& source, const Tiled* halves, const Tiled* kernel, float* mixed, WindowRow to) {
    const Upsampling<Tiled>& up = source.up;
    const int64_t all = rounded_up(source.map.channels, kPaired), by = up.stride.x, voxels = source.map.size.x;
    for (int64_t c = 0; c < up.channels; c += kLanes) {
        for (int64_t dx = 0; dx < by; ++dx) {
            const Mixing mixing{halves, kernel + (dx * up.channels + c) * all, all, whole<Tiled>(voxels)};
            mixing.run(voxels, mixed + 256 * dx, 256 * by);
        }
        for (int64_t m = 0; m < kLanes; ++m) {
            const __m512 bias = _mm512_set1_ps(up.bias[c + m]);
            if (by == 1) put_upsampled<1>(mixed + m * kLanes, bias, voxels, to.from_channel(c + m));
            else put_upsampled<2>(mixed + m * kLanes, bias, 2 * voxels, to.from_channel(c + m));
        }
    }
}

// One channel of kCount planes: for each 32 voxels of the window's row a tile of sums, plane after plane.
template <int kCount>
FLARE_INLINE void convolve(const TileDepthwise& depthwise, int64_t c, const WindowRow* planes, float* sums) {
    const int64_t tile = depthwise.rows() * 32, blocks = depthwise.blocks * depthwise.stride.x, step = planes->rows * 64;
    const Tiled* kernel = depthwise.kernel + 3 * tile * c;
    const Tiled* rows[kCount + 2];
    for (int plane = 0; plane < kCount + 2; ++plane) rows[plane] = planes[plane].from_channel(c).at;
    load<0>(kernel, 64), load<1>(kernel + tile, 64), load<2>(kernel + 2 * tile, 64);
    for (int64_t block = 0; block < blocks; ++block) {
        zero<3>();
        load<5>(rows[0] + block * step, 64);
        dot<3, 0, 5>();
        load<6>(rows[1] + block * step, 64);
        dot<3, 1, 6>();
        load<7>(rows[2] + block * step, 64);
        dot<3, 2, 7>();
        store<3>(sums + block * tile / 2);
        if (kCount == 1) continue;
        zero<4>();
        dot<4, 0, 6>();
        dot<4, 1, 7>();
        load<5>(rows[kCount + 1] + block * step, 64);
        dot<4, 2, 5>();
        store<4>(sums + (blocks + block) * tile / 2);
    }
}

// Sums of two channels in the blocks of a plane become halves.
template <int kStride>
FLARE_INLINE void pack_plane(const TileDepthwise& depthwise, const float* even, const float* odd, Tiled* to) {
    constexpr int kLines = 2 / kStride;  // of a row of the result, 16 voxels each, in a block
    const int64_t tile = depthwise.rows() * kLanes, blocks = depthwise.blocks * kStride;
    for (int64_t row = 0; row < group_of(depthwise.stride.y); ++row, to += depthwise.row_halves()) {
        for (int64_t block = 0; block < blocks; ++block) {
            const int64_t from = block * tile + row * kLines * kLanes;
#pragma GCC unroll 2
            for (int line = 0; line < kLines; ++line) {
                const Pair pair{_mm512_load_ps(even + from + line * kLanes), _mm512_load_ps(odd + from + line * kLanes)};
                _mm512_store_si512(to + (block * kLines + line) * 32, pack(pair));
            }
        }
    }
}

inline void depthwise(const TileDepthwise& depthwise, const WindowRow* planes, int64_t count, float* sums, Tiled* to) {
    const int64_t plane_sums = depthwise.rows() * kLanes * depthwise.blocks * depthwise.stride.x;
    float* odd = sums + count * plane_sums;
    for (int64_t c = 0; c < depthwise.channels; c += 2) {
        for (int64_t q = 0; q < 2; ++q) {
            float* here = q ? odd : sums;
            count == 2 ? convolve<2>(depthwise, c + q, planes, here) : convolve<1>(depthwise, c + q, planes, here);
        }
        for (int64_t plane = 0; plane < count; ++plane) {
            Tiled* at = to + plane * group_of(depthwise.stride.y) * depthwise.row_halves() + c * depthwise.blocks * 32;
            const float *first = sums + plane * plane_sums, *second = odd + plane * plane_sums;
            depthwise.stride.x == 1 ? pack_plane<1>(depthwise, first, second, at) : pack_plane<2>(depthwise, first, second, at);
        }
    }
}

// What is summed up of 16 channels, each over the voxels of its lanes.
struct Moments {
    alignas(64) float first[kLanes], sum[kLanes][kLanes], squares[kLanes][kLanes];
};

// Writes a row of 16 channels, (x / 32, 2, 16, 16), and adds it to the moments.
template <bool kInterleaved>
FLARE_INLINE void finish_row(const float* mixed, int64_t voxels, Tiled* to, Moments& moments) {
    for (int64_t m = 0; m < kLanes; ++m) {
        const __m512 first = _mm512_set1_ps(moments.first[m]);
        __m512 sums[2] = {_mm512_load_ps(moments.sum[m]), _mm512_setzero_ps()};
        __m512 squares[2] = {_mm512_load_ps(moments.squares[m]), _mm512_setzero_ps()};
        for (int64_t x = 0; x < voxels; x += 32) {
            const Pair pair{_mm512_load_ps(mixed + (x + m) * kLanes), _mm512_load_ps(mixed + (x + kLanes + m) * kLanes)};
            const int64_t left = voxels - x;
            const __m512 even = _mm512_maskz_sub_ps(first_of_16(kInterleaved ? (left + 1) / 2 : left), pair.even, first);
            const __m512 odd = _mm512_maskz_sub_ps(first_of_16(kInterleaved ? left / 2 : left - kLanes), pair.odd, first);
            sums[0] = _mm512_add_ps(sums[0], even), sums[1] = _mm512_add_ps(sums[1], odd);
            squares[0] = _mm512_fmadd_ps(even, even, squares[0]), squares[1] = _mm512_fmadd_ps(odd, odd, squares[1]);
            __m512i* at = reinterpret_cast<__m512i*>(to + m * whole<Tiled>(voxels) + x);
            _mm512_stream_si512(at, kInterleaved ? pack(pair) : one_by_one(pair));
        }
        _mm512_store_ps(moments.sum[m], _mm512_add_ps(sums[0], sums[1]));
        _mm512_store_ps(moments.squares[m], _mm512_add_ps(squares[0], squares[1]));
    }
}

inline void pointwise(const TilePointwise& pointwise, const Tiled* halves, float* mixed, Tiled* to, float* sums) {
    const int64_t all = rounded_up(pointwise.channels, kPaired), out = pointwise.out, voxels = pointwise.voxels;
    const int64_t width = whole<Tiled>(voxels);
    const auto finish = pointwise.interleaved ? finish_row<true> : finish_row<false>;
    for (int64_t c = 0; c < out; c += kLanes) {
        Moments moments{};
        for (int64_t row = 0; row < pointwise.rows; ++row) {
            Mixing{halves + row * width * all, pointwise.kernel + c * all, all, width}.run(width, mixed, 256);
            for (int64_t m = 0; row == 0 && m < kLanes; ++m) moments.first[m] = mixed[m * kLanes];
            finish(mixed, voxels, to + (row * out + c) * width, moments);
        }
        for (int64_t m = 0; m < kLanes; ++m) {
            sums[c + m] = moments.first[m];
            sums[out + c + m] = _mm512_reduce_add_ps(_mm512_load_ps(moments.sum[m]));
            sums[2 * out + c + m] = _mm512_reduce_add_ps(_mm512_load_ps(moments.squares[m]));
        }
    }
}

inline void logits_row(const FeatureMap& map, const Tiled* halves, const Tiled* kernel, const float* bias, int64_t logits,
                       float* mixed, float* to) {
    const int64_t all = rounded_up(map.channels, kPaired), plane = map.size.voxels(), voxels = map.size.x;
    for (int64_t c = 0; c < logits; c += kLanes) {
        Mixing{halves, kernel + c * all, all, whole<Tiled>(voxels)}.run(voxels, mixed, 256);
        for (int64_t m = 0; m < kLanes && c + m < logits; ++m) {
            const __m512 start = _mm512_set1_ps(bias[c + m]);
            for (int64_t x = 0; x < voxels; x += kLanes) {
                put_logits(to + (c + m) * plane + x, _mm512_load_ps(mixed + (x + m) * kLanes) + start, voxels - x);
            }
        }
    }
}

const TileLoops kLoops{set_up, clear, activate, activate_halves, upsample_row, depthwise, pointwise, logits_row, release};

}  // namespace rows_of_tiles
}  // namespace flare
